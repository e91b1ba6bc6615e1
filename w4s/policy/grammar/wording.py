"""The phrases that drafted workflows and analyses are varied with."""

from __future__ import annotations

from w4s.policy.grammar.draft import Family

ROLES = ("math expert", "teacher", "careful solver")
CODER_ROLES = ("programmer", "calculator")
DIRECT_INSTRUCTIONS = (
    "Give only the final answer.",
    "Answer briefly.",
)
THOUGHT_INSTRUCTIONS = (
    "Think step by step, then write the final answer in \\\\boxed{}.",
    "Think step by step. The last line is the answer.",
)
EXAMPLE_INSTRUCTIONS = (
    "Answer like the examples.",
    "Give only the answer.",
)
CODE_INSTRUCTIONS = (
    "Write Python code for the question.",
    "Write one Python expression.",
)
CHECK_INSTRUCTIONS = (
    "Check the answer and correct it.",
    "Find mistakes, then give the right answer.",
)
SPLIT_INSTRUCTIONS = (
    "List the steps. Do not solve it.",
    "Write a short plan.",
)
# one phrase a family, alike at the start: a small model must not lose its way before the code
IDEAS: dict[Family, str] = {
    Family.DIRECT: "Technique: ask directly.",
    Family.CHAIN_OF_THOUGHT: "Technique: reason before the answer.",
    Family.SELF_CONSISTENCY: "Technique: vote over several answers.",
    Family.FEW_SHOT: "Technique: solved examples.",
    Family.SELF_REFINE: "Technique: check the first answer.",
    Family.DECOMPOSITION: "Technique: plan first, then solve.",
    Family.GENERIC_CODE: "Technique: run code, written after a generic example.",
    Family.PROGRAM: "Technique: run code, written after worked examples.",
    Family.PROGRAM_VOTE: "Technique: vote over several runs of code.",
    Family.PROGRAM_THEN_THOUGHT: "Technique: run code, reason where it fails.",
}
GENERIC_EXAMPLES = (
    ("What is 12 plus 30?", "12 + 30"),
    ("What is 45 minus 17?", "45 - 17"),
    ("What is 6 times 7?", "6 * 7"),
    ("What is 84 divided by 4?", "84 / 4"),
    ("What is 17 modulo 5?", "17 % 5"),
    ("What is 2 to the power of 5?", "2 ** 5"),
    ("What is (3 + 4) * 2 - 5?", "(3 + 4) * 2 - 5"),
    ("Add 4, 9 and 23.", "4 + 9 + 23"),
    ("What is the average of 4 and 10?", "(4 + 10) / 2"),
    ("What is the larger of 8 and 15?", "max(8, 15)"),
    ("What is the smallest of 7, 3 and 5?", "min(7, 3, 5)"),
    ("How far is 3 from 11?", "abs(3 - 11)"),
    ("Sort these numbers: 5, 2, 9.", "sorted([5, 2, 9])"),
    ("Reverse the word stone.", '"stone"[::-1]'),
    ('How many times is "a" in "a banana"?', '"a banana".count("a")'),
    ('How long is the word "window"?', 'len("window")'),
    ('How many words has "the old house"?', 'len("the old house".split())'),
    ("Is 14 even?", "14 % 2 == 0"),
    ("What is the digit sum of 482?", "sum(map(int, str(482)))"),
    ("What is the greatest common divisor of 12 and 18?", "math.gcd(12, 18)"),
)
