"""A deployment for other platforms: in goes an endpoint's route with its packages, out come files that say the same in
the words of Kubernetes, KServe, Ray Serve, or as a context to build an image from. Pure: same route, same bytes."""
