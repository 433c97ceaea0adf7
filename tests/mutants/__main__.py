"""Count by group what `mutmut run` found; ends with 1 where a survivor is not explained or a score is below 90%."""

import sys

from tests.mutants.results import GROUPS, REQUIRED, count, explanations, found_mutants


def main() -> None:
    """Print the table, and the survivors that are not explained."""
    explained = explanations()
    mutants = found_mutants()
    failed = False
    print(f"{'':12}{'mutants':>8}{'killed':>8}{'survived':>9}{'explained':>10}{'score':>8}")
    for group in GROUPS:
        total, killed, survived, with_reason = count([mutant for mutant in mutants if mutant.group == group], explained)
        score = killed / total if total else 0.0
        failed |= score < REQUIRED or with_reason < survived
        print(f"{group:12}{total:8}{killed:8}{survived:9}{with_reason:10}{score:8.1%}")
    for mutant in mutants:
        if not mutant.killed and mutant.change not in explained:
            print(mutant.change)
    sys.exit(failed)


if __name__ == "__main__":
    main()
