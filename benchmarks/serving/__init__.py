"""Peers that answer over HTTP, each as its documentation says, in an environment of its own."""
