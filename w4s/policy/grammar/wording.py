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
IDEAS: dict[Family, tuple[str, ...]] = {
    Family.DIRECT: ("Ask directly for the answer.", "A plain question keeps the reply short."),
    Family.CHAIN_OF_THOUGHT: (
        "Let the model reason before it answers.",
        "Step by step reasoning may help.",
    ),
    Family.SELF_CONSISTENCY: (
        "Sample several answers and take the most frequent one.",
        "A majority vote removes random mistakes.",
    ),
    Family.FEW_SHOT: (
        "Show solved examples so that the form of the answer is clear.",
        "Quote public questions with their correct answers.",
    ),
    Family.SELF_REFINE: (
        "Let the model check its first answer.",
        "A second look can repair the first answer.",
    ),
    Family.DECOMPOSITION: (
        "Split the problem into steps first.",
        "A plan first, then the solution.",
    ),
    Family.GENERIC_CODE: (
        "Let the model write code after a simple example and run it.",
        "Code computes exactly; show how code looks.",
    ),
    Family.PROGRAM: (
        "Turn questions into Python as in these worked examples and run it.",
        "Worked examples in code let Python compute the answer.",
    ),
    Family.PROGRAM_VOTE: (
        "Run several programs written after worked examples and vote.",
        "Sample code a few times and take the most frequent value.",
    ),
    Family.PROGRAM_THEN_THOUGHT: (
        "Run code written after worked examples, and let the model reason if it fails.",
        "Code first; plain reasoning is the fall-back.",
    ),
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
