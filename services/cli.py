"""The console script: thin verbs over the assembly and the demo."""


def main() -> None:
    """Run the command line."""
