"""What the tests of earlier files need."""

from command_line import command

__all__ = ["command"]
