"""Every named experiment."""

from . import recipes_of_tasks, recipes_of_texts
from .errors import InputError, did_you_mean
from .recipe import Recipe

RECIPES: dict[str, Recipe] = {**recipes_of_texts.RECIPES, **recipes_of_tasks.RECIPES}


def find(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: if there is none.
    """
    if name not in RECIPES:
        raise InputError(
            f"there is no recipe '{name}'; the recipes are {', '.join(RECIPES)}"
            f"{did_you_mean(name, RECIPES)}"
        )
    return RECIPES[name]
