"""Whole releases as their users live through them, on the simulated cluster and in virtual time.

Everything they need stands in this repository. How our releases compare with the reference's recordings is told in
`tests/parity`.
"""
