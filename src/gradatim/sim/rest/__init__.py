"""The HTTP API of the simulated server, one concern a module, without any transport."""
