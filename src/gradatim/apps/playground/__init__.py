"""`gradatim playground`: a release on this machine, without a cluster, with everything real that can be real.

Real are the operator (the program that runs in clusters), Traefik, the requests, the metrics and the queries. Ours are
the API server, the controllers and the pods, which are processes of a small demo application.
"""
