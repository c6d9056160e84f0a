"""`python -m translate`, where the command itself is not on the path."""

from translate.cli.main import command

command()
