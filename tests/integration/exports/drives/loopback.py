"""Runs in each worker process of the tests' Ray: the port that a replica binds to all interfaces is bound to one."""


def hold():
    from ray.serve._private import replica  # noqa: PLC0415 - Ray's processes have it, the tests' environment has not

    bind = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: bind(server, address.replace("[::]", "127.0.0.1"))
