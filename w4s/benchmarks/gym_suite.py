"""The embedded suite: reasoning-gym data sets with configurations easy enough for a 135M executor.

The configurations are part of what is measured: changing one changes the benchmark's version.
Generators named here were checked not to depend on the process's hash seed (a test keeps it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w4s.benchmarks.gym import GymBenchmark

_WHOLE = "The answer is one whole number."
_WORD_LIST = "The answer is the words separated by a comma and a space."

_SUITE: dict[str, tuple[str, Mapping[str, Any]]] = {
    "chain_sum": (
        f"Add and subtract two or three numbers of one or two digits. {_WHOLE}",
        {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
    ),
    "products": (
        f"Multiply two numbers of one or two digits. {_WHOLE}",
        {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2},
    ),
    "basic_arithmetic": (
        "Calculate an expression of two or three small numbers with + - * /, signs and brackets; "
        f"every division comes out even. {_WHOLE}",
        {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
    ),
    "gcd": (
        f"Find the greatest common divisor of two numbers up to 100. {_WHOLE}",
        {"min_numbers": 2, "max_numbers": 2, "min_value": 2, "max_value": 100},
    ),
    "letter_counting": (
        f"Count a letter, small or capital, in a text of six to twelve words. {_WHOLE}",
        {"min_words": 6, "max_words": 12},
    ),
    "lcm": (
        f"Find the least common multiple of two numbers up to 30. {_WHOLE}",
        {"min_numbers": 2, "max_numbers": 2, "min_value": 2, "max_value": 30},
    ),
    "power_function": (
        "Raise a number to a small power. The answer is a number right to 3 significant figures.",
        {"min_base": -20, "max_base": 20, "min_exponent": 1, "max_exponent": 3},
    ),
    "spell_backward": (
        "Spell a word of three to five letters backward. The answer is the reversed word.",
        {"min_word_len": 3, "max_word_len": 5},
    ),
    "number_sorting": (
        "Sort three to five whole numbers in the order asked for. "
        "The answer is a list of the numbers as texts, such as ['-3', '10', '25'].",
        {"min_numbers": 3, "max_numbers": 5, "min_decimals": 0, "max_decimals": 0},
    ),
    "count_bits": (
        f"Count the 1 bits in the binary form of a number below 1024. {_WHOLE}",
        {"min_n": 1, "max_n": 1023},
    ),
    "count_primes": (
        f"Count the primes between two numbers up to 100, both included. {_WHOLE}",
        {"min_n": 1, "max_n": 100},
    ),
    "decimal_arithmetic": (
        "Calculate with two decimal numbers of one or two places. The answer is one number.",
        {
            "min_num_decimal_places": 1,
            "max_num_decimal_places": 2,
            "min_terms": 2,
            "max_terms": 2,
        },
    ),
    "decimal_chain_sum": (
        "Add or subtract two decimal numbers. The answer is one exact decimal number.",
        {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2, "max_decimal_places": 2},
    ),
    "fraction_simplification": (
        "Reduce a fraction to its lowest terms. The answer has the form 3/4.",
        {"min_value": 1, "max_value": 30, "min_factor": 2, "max_factor": 9, "styles": ["plain"]},
    ),
    "word_sorting": (
        f"Sort three or four words by ASCII order, capitals before small letters. {_WORD_LIST}",
        {"min_words": 3, "max_words": 4, "min_word_length": 3, "max_word_length": 6},
    ),
    "word_sequence_reversal": (
        f"Reverse the order of three or four words. {_WORD_LIST}",
        {"min_words": 3, "max_words": 4},
    ),
    "leg_counting": (
        f"Count the legs of a few animals of two or three kinds. {_WHOLE}",
        {"min_animals": 2, "max_animals": 3, "min_instances": 1, "max_instances": 5},
    ),
    "base_conversion": (
        "Write a number up to 100 of one base (2 to 10) in another. The answer is its digits.",
        {"min_base": 2, "max_base": 10, "min_value": 2, "max_value": 100},
    ),
    "simple_equations": (
        f"Solve an easy linear equation with one unknown. {_WHOLE}",
        {"min_terms": 2, "max_terms": 2, "min_value": 1, "max_value": 20},
    ),
    "number_format": (
        "Pick the largest or the smallest of two or three numbers written in different ways. "
        "The answer is that number.",
        {"min_num_candidates": 2, "max_num_candidates": 3, "min_n": 1000, "max_n": 10000},
    ),
}

SUITE_NAMES = tuple(_SUITE)


def suite_benchmark(name: str) -> GymBenchmark:
    """Return the benchmark of the suite called `name` (one of SUITE_NAMES)."""
    description, config = _SUITE[name]
    return GymBenchmark(name, dataset=name, description=description, config=config, stable=True)
