"""A planted defect that no longer fits the code would only be found by the long campaigns."""

from collections import Counter

from tests.chaos.defects import MUTANTS
from tests.chaos.mutants import ROOT


def test_each_planted_defect_fits_the_code_in_one_place() -> None:
    for mutant in MUTANTS:
        for edit in mutant.edits:
            assert (ROOT / edit.file).read_text().count(edit.old) == 1, (mutant.name, edit.file)


def test_each_planted_defect_has_a_judge_of_its_own() -> None:
    assert Counter(mutant.name for mutant in MUTANTS).most_common(1)[0][1] == 1
    for mutant in MUTANTS:
        assert mutant.faults or mutant.tests
        assert all((ROOT / test).exists() for test in mutant.tests)
