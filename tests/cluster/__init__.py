"""A real Kubernetes control plane for the tests: etcd, kube-apiserver and kube-controller-manager as local processes.

Read in this order: `binaries` (where the programs come from), `control_plane` (starting and stopping them), `client` (a
thin client that shows answers as they are), `nodes` (a stand-in for every kubelet), `crds` (definitions, theirs
and ours), `prometheus` and `hooks` (what the operator talks to), `operator` and `audit` (the program under test and the
count of its requests), `parity` (the scenarios recorded from the reference), `contract` (what the real server and the
simulator must both do), `traffic` (real requests through a real proxy), and `fixtures`, which hands all of it to tests.
Nothing here is imported by the product.
"""
