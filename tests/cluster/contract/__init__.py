"""What every API server must do, checked on the real one and on the simulator with the same assertions.

The assertions were written from what kube-apiserver answers. A difference on the simulator is a bug there.
"""
