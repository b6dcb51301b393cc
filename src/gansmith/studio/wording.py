"""Errors as the pages say them."""

PARAMETERS = {"recipes": "gansmith studio --recipes", "from_": "“Begin with”"}
"""What the pages have in the place of a parameter that an error names."""


def on_pages(error: str) -> str:
    """One line, without backticks, in which what a page offers has the page's name."""
    for name, words in PARAMETERS.items():
        error = error.replace(f"`{name}`", words)
    return " ".join(error.replace("`", "").split())
