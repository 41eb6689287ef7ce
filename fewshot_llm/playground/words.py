"""What the page says, in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot_llm.playground.session import Accuracy
from fewshot_llm.stats.intervals import Interval

__all__ = ["CHINESE", "ENGLISH", "PageWords", "words_of"]


@dataclass(frozen=True)
class PageWords:
    """Every caption and message of the page in one language; `{…}` are filled in."""

    language: str
    status: str
    out_of_fold: str
    on_test: str
    unknown: str
    try_tab: str
    texts: str
    texts_hint: str
    label_button: str
    columns: tuple[str, str, str]
    download: str
    pick: str
    why: str
    nothing_yet: str
    right_label: str
    correct_button: str
    undo_button: str
    corrected: str
    undone: str
    nothing_to_undo: str
    support_tab: str
    support_columns: tuple[str, str, str]
    history: str
    history_columns: tuple[str, str, str]
    measure_button: str
    prompt_tab: str
    prompt_text: str
    template: str
    rendered: str
    use_button: str
    reset_button: str
    using: str
    tune_tab: str
    tune_about: str
    target: str
    tune_button: str
    log: str
    rung: str
    rung_done: str
    rung_skipped: str
    fold: str
    epoch: str
    tuned: str

    def accuracy(self, found: Accuracy) -> str:
        """An accuracy with its interval, on the test rows where they were measured."""
        parts = [self.out_of_fold.format(figure=self.figure(found.out_of_fold))]
        if found.test is not None:
            parts.append(self.on_test.format(figure=self.figure(found.test)))
        return " · ".join(parts)

    def figure(self, interval: Interval | None) -> str:
        """`0.81 [0.62, 0.92]`, or a dash."""
        if interval is None or interval.value != interval.value:
            return self.unknown
        return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


ENGLISH = PageWords(
    language="en",
    status="**{task}** · {model} · {rows} labelled rows · {accuracy}",
    out_of_fold="accuracy out of fold {figure}",
    on_test="on the test file {figure}",
    unknown="–",
    try_tab="Try",
    texts="Texts, one a line",
    texts_hint="Paste reviews or messages here",
    label_button="Label",
    columns=("text", "label", "probability"),
    download="Download predictions (CSV)",
    pick="Text to look at",
    why="Why this label",
    nothing_yet="Label some texts first.",
    right_label="The right label",
    correct_button="Save label",
    undo_button="Undo",
    corrected="Saved as “{label}” in {file}. {changed} of {all} texts got another label; accuracy {before} → {after}.",
    undone="The last correction was taken back; accuracy {before} → {after}.",
    nothing_to_undo="There is nothing to undo.",
    support_tab="Labelled rows",
    support_columns=("row", "label", "text"),
    history="Accuracy so far",
    history_columns=("rows", "out of fold", "test file"),
    measure_button="Measure on the test file",
    prompt_tab="Prompt",
    prompt_text="A text to render it with",
    template="Template (Jinja)",
    rendered="The exact prompt",
    use_button="Use this template",
    reset_button="Back to the first one",
    using="This template is in use; accuracy {before} → {after}.",
    tune_tab="Tune",
    tune_about="Finds out on the labelled rows how far to go (demonstrations, calibration, LoRA) and writes "
    "`{folder}`. It may take many minutes; until it has ended, nothing else can be asked.",
    target="Accuracy that is good enough",
    tune_button="Start",
    log="Progress",
    rung="measuring {rung} …",
    rung_done="{rung}: accuracy {accuracy} out of fold, {seconds:.0f} s",
    rung_skipped="{rung}: not measured, {why}",
    fold="fold {fold}/{folds}, epoch {epoch}/{epochs}: loss {loss:.3f}, {left:.0f} s left",
    epoch="training, epoch {epoch}/{epochs}: loss {loss:.3f}, {left:.0f} s left",
    tuned="{reason}\n→ {folder}",
)

CHINESE = PageWords(
    language="zh",
    status="**{task}** · {model} · {rows} 条已标注 · {accuracy}",
    out_of_fold="交叉验证准确率 {figure}",
    on_test="测试文件上 {figure}",
    unknown="–",
    try_tab="试用",
    texts="文本，每行一条",
    texts_hint="在这里粘贴评论或消息",
    label_button="打标签",
    columns=("文本", "标签", "概率"),
    download="下载预测结果（CSV）",
    pick="查看哪条文本",
    why="为什么是这个标签",
    nothing_yet="请先给文本打标签。",
    right_label="正确的标签",
    correct_button="保存标签",
    undo_button="撤销",
    corrected="已按“{label}”存入 {file}。上面 {all} 条文本中有 {changed} 条换了标签；准确率 {before} → {after}。",
    undone="已撤销上一次更正；准确率 {before} → {after}。",
    nothing_to_undo="没有可以撤销的更正。",
    support_tab="已标注样例",
    support_columns=("行", "标签", "文本"),
    history="准确率变化",
    history_columns=("样例数", "交叉验证", "测试文件"),
    measure_button="在测试文件上测量",
    prompt_tab="提示词",
    prompt_text="用哪条文本来渲染",
    template="模板（Jinja）",
    rendered="完整的提示词",
    use_button="使用这个模板",
    reset_button="恢复最初的模板",
    using="已使用这个模板；准确率 {before} → {after}。",
    tune_tab="调优",
    tune_about="用已标注的样例判断需要做到哪一步（示例、校准、LoRA），结果写入 `{folder}`。"
    "可能需要很多分钟，期间不能做其他操作。",
    target="足够好的准确率",
    tune_button="开始",
    log="进度",
    rung="正在测量 {rung} …",
    rung_done="{rung}：交叉验证准确率 {accuracy}，{seconds:.0f} 秒",
    rung_skipped="{rung}：没有测量，{why}",
    fold="第 {fold}/{folds} 折，第 {epoch}/{epochs} 轮：损失 {loss:.3f}，还需 {left:.0f} 秒",
    epoch="训练，第 {epoch}/{epochs} 轮：损失 {loss:.3f}，还需 {left:.0f} 秒",
    tuned="{reason}\n→ {folder}",
)


def words_of(language: str) -> PageWords:
    """Chinese for `zh…`, English for anything else."""
    return CHINESE if language.startswith("zh") else ENGLISH
