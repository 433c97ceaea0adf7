"""Count by group what `mutmut run` found; ends with 1 if a mutant is untried, a survivor unexplained or a score low."""

import sys

from tests.mutants.results import GROUPS, count, explanations, found_mutants


def main() -> None:
    """Print the table, and the survivors that are not explained."""
    explained = explanations()
    mutants = found_mutants()
    failed = False
    print(f"{'':12}{'untried':>8}{'tried':>8}{'killed':>8}{'survived':>9}{'explained':>10}{'score':>8}")
    for group in GROUPS:
        found = count([mutant for mutant in mutants if mutant.group == group], explained)
        score = found.killed / found.tried if found.tried else 0.0
        failed |= not found.is_enough
        print(
            f"{group:12}{found.untried:8}{found.tried:8}{found.killed:8}{found.survived:9}{found.explained:10}{score:8.1%}"
        )
    for mutant in mutants:
        if mutant.killed is False and mutant.change not in explained:
            print(mutant.change)
    sys.exit(failed)


if __name__ == "__main__":
    main()
