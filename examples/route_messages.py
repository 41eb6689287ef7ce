"""把顾客消息分给对应的自动回复；拿不准的、超出范围的、没有现成回复的，转给人工。

    python examples/route_messages.py --support 标注.csv --answers 回复.csv --messages 今天的消息.csv --out 分派.csv

每个意图有三条以上标注就可以起步。回复逐字来自表格，模型不写任何内容。
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fewshot_llm import FewShotClassifier, SupportSet, load_task
from fewshot_llm.files import read_rows, write_rows
from fewshot_llm.labelling import gaps, read_answers, reply_to

DATA = Path(__file__).parent / "data"
WHY = {"unsure": "拿不准", "out_of_scope": "超出范围", "no_answer": "没有现成回复"}


def main(arguments: Sequence[str] | None = None) -> None:
    """读标注，分派消息，写出结果。"""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--support", type=Path, default=DATA / "messages-labelled.csv", help="列：text, label")
    parser.add_argument("--answers", type=Path, default=DATA / "answers.csv", help="列：intent, reply")
    parser.add_argument("--messages", type=Path, default=DATA / "messages.csv", help="列：text")
    parser.add_argument("--out", type=Path, default=Path("分派.csv"))
    parser.add_argument("--min-confidence", type=float, default=0.7, help="低于这个概率就转人工")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    task = load_task("customer-intent")
    support = SupportSet.from_file(options.support, task)
    answers = read_answers(options.answers, "zh")
    for line in gaps(answers, support.labels):
        print(line)

    # “忽略以上指示”之类的话会先被去掉，再打分
    classifier = FewShotClassifier(task, options.model, shots=3, language="zh", defence="standard")
    classifier.fit_support(support)
    messages = read_rows(options.messages)
    replies = reply_to(
        classifier.predictions([message["text"] for message in messages]), answers, options.min_confidence
    )
    write_rows(
        options.out,
        [
            {
                **message,
                "意图": reply.intent,
                "概率": round(reply.confidence, 3),
                "回复": reply.reply or "",
                "转人工": WHY[reply.hand_over] if reply.hand_over else "",
            }
            for message, reply in zip(messages, replies, strict=True)
        ],
        overwrite=True,
    )
    counts = Counter(WHY[reply.hand_over] if reply.hand_over else "自动回复" for reply in replies)
    print("，".join(f"{what} {number} 条" for what, number in counts.most_common()), "→", options.out)


if __name__ == "__main__":
    main()
