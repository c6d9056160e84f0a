"""The command line; everything that it does is in the library."""
