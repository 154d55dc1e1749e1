"""What the next step of an analysis is, one module a strategy."""
