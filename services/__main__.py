"""python -m services: the same as the console script, which begins here too."""

import sys


def main() -> None:
    """Run the command line; `plan` starts without loading the house, because somebody waits for it."""
    if sys.argv[1:2] == ["plan"]:
        from services.plan_file import main as plan

        plan(sys.argv[2:])
    else:
        from services.cli import main as house

        house()


if __name__ == "__main__":
    main()
