"""Whole releases on the real server, all at once under one operator with the rights that we ship.

`timeline` is one story as a table, `looks` reads from a namespace's history what the table says, `telling` plays a
story, `walkthrough` is the scenario that started the product, by kubectl, and `stage` plays everything side by side.
What is tested afterwards: each story by its table, the walk-through by its document, the rights by what was asked for.
"""
