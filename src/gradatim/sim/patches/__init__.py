"""The four languages in which clients say what shall change in an object."""
