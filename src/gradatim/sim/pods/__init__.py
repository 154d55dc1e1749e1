"""How pods run: the port (`runner`) and its two implementations, instant ones for tests and local processes."""
