"""Real requests through an unmodified Traefik that follows the real API server, in a network namespace of its own.

Read in this order: `space` (the namespace), `pods` (what pretended pods answer), `edge` (Traefik), `entrances` (how
users reach the application, for each way of moving traffic), `users` (who they are, and what became of their requests),
`story` (what happens meanwhile), `play` (the program that runs inside the namespace and plays all stories at once) and
`findings`, which it hands to `test_traffic`.
"""
