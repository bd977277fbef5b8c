"""`python -m pocketdet`: the command line, where its program is not on the path."""

from pocketdet.cli.main import main

if __name__ == "__main__":  # processes of "spawn" import this module again
    main()
