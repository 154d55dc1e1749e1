"""What objects may look like: schemas of built-in kinds and of CRDs, and what follows from them."""
