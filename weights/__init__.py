"""The shipped weights, the table that lists them, and the files that hold weights."""
