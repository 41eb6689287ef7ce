"""What the page says, in English and in Chinese; `{…}` are filled in."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot_llm.playground.session import Accuracy
from fewshot_llm.stats.intervals import Interval
from fewshot_llm.types import Language, Text

__all__ = ["CHINESE", "ENGLISH", "PageWords", "words_of"]


@dataclass(frozen=True)
class PageWords:
    """Says the page's captions and messages in one language.

    Attributes:
        language: of the page.

    >>> PageWords("zh")(TRY_TAB), PageWords("en")(UNDONE, before="0.50", after="0.75")
    ('试用', 'The last correction was taken back; accuracy 0.50 → 0.75.')
    """

    language: Language

    def __call__(self, text: Text, **values: object) -> str:
        """A text of this module with its places filled."""
        return text.fill(**values).say(self.language)

    def columns(self, titles: tuple[Text, ...]) -> tuple[str, ...]:
        """A table's titles."""
        return tuple(map(self, titles))

    def accuracy(self, found: Accuracy) -> str:
        """An accuracy with its interval, on the test rows where they were measured."""
        template = OUT_OF_FOLD if found.test is None else OUT_OF_FOLD_AND_TEST
        return self(template, figure=self.figure(found.out_of_fold), test=self.figure(found.test))

    def figure(self, interval: Interval | None) -> str:
        """`0.81 [0.62, 0.92]`, or a dash."""
        if interval is None or interval.value != interval.value:
            return UNKNOWN
        return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


ENGLISH, CHINESE = PageWords("en"), PageWords("zh")


def words_of(language: str) -> PageWords:
    """Chinese for `zh…`, English for anything else."""
    return CHINESE if language.startswith("zh") else ENGLISH


UNKNOWN = "–"

STATUS = Text(
    "**{task}** · {model} · {rows} labelled rows · {accuracy}", "**{task}** · {model} · {rows} 条已标注 · {accuracy}"
)
OUT_OF_FOLD = Text("accuracy out of fold {figure}", "交叉验证准确率 {figure}")
OUT_OF_FOLD_AND_TEST = Text(
    "accuracy out of fold {figure} · on the test file {test}",
    "交叉验证准确率 {figure} · 测试文件上 {test}",
)
TRY_TAB = Text("Try", "试用")
TEXTS = Text("Texts, one a line", "文本，每行一条")
TEXTS_HINT = Text("Paste reviews or messages here", "在这里粘贴评论或消息")
LABEL_BUTTON = Text("Label", "打标签")
LABEL_COLUMNS = (Text("text", "文本"), Text("label", "标签"), Text("probability", "概率"))
DOWNLOAD = Text("Download predictions (CSV)", "下载预测结果（CSV）")
PICK = Text("Text to look at", "查看哪条文本")
NOTHING_YET = Text("Label some texts first.", "请先给文本打标签。")
RIGHT_LABEL = Text("The right label", "正确的标签")
CORRECT_BUTTON = Text("Save label", "保存标签")
UNDO_BUTTON = Text("Undo", "撤销")
CORRECTED = Text(
    "Saved as “{label}” in {file}. {changed} of {all} texts got another label; accuracy {before} → {after}.",
    "已按“{label}”存入 {file}。上面 {all} 条文本中有 {changed} 条换了标签；准确率 {before} → {after}。",
)
UNDONE = Text(
    "The last correction was taken back; accuracy {before} → {after}.", "已撤销上一次更正；准确率 {before} → {after}。"
)
NOTHING_TO_UNDO = Text("There is nothing to undo.", "没有可以撤销的更正。")
SUPPORT_TAB = Text("Labelled rows", "已标注样例")
SUPPORT_COLUMNS = (Text("row", "行"), Text("label", "标签"), Text("text", "文本"))
HISTORY = Text("Accuracy so far", "准确率变化")
HISTORY_COLUMNS = (Text("rows", "样例数"), Text("out of fold", "交叉验证"), Text("test file", "测试文件"))
MEASURE_BUTTON = Text("Measure on the test file", "在测试文件上测量")
PROMPT_TAB = Text("Prompt", "提示词")
PROMPT_TEXT = Text("A text to render it with", "用哪条文本来渲染")
TEMPLATE = Text("Template (Jinja)", "模板（Jinja）")
RENDERED = Text("The exact prompt", "完整的提示词")
USE_BUTTON = Text("Use this template", "使用这个模板")
RESET_BUTTON = Text("Back to the first one", "恢复最初的模板")
USING = Text("This template is in use; accuracy {before} → {after}.", "已使用这个模板；准确率 {before} → {after}。")
TUNE_TAB = Text("Tune", "调优")
TUNE_ABOUT = Text(
    "Finds out on the labelled rows how far to go (demonstrations, calibration, LoRA) and writes "
    "`{folder}`. It may take many minutes; until it has ended, nothing else can be asked.",
    "用已标注的样例判断需要做到哪一步（示例、校准、LoRA），结果写入 `{folder}`。可能需要很多分钟，期间不能做其他操作。",
)
TARGET = Text("Accuracy that is good enough", "足够好的准确率")
TUNE_BUTTON = Text("Start", "开始")
LOG = Text("Progress", "进度")
RUNG = Text("measuring {rung} …", "正在测量 {rung} …")
RUNG_DONE = Text(
    "{rung}: accuracy {accuracy} out of fold, {seconds:.0f} s", "{rung}：交叉验证准确率 {accuracy}，{seconds:.0f} 秒"
)
RUNG_SKIPPED = Text("{rung}: not measured, {why}", "{rung}：没有测量，{why}")
FOLD = Text(
    "fold {fold}/{folds}, epoch {epoch}/{epochs}: loss {loss:.3f}, {left:.0f} s left",
    "第 {fold}/{folds} 折，第 {epoch}/{epochs} 轮：损失 {loss:.3f}，还需 {left:.0f} 秒",
)
EPOCH = Text(
    "training, epoch {epoch}/{epochs}: loss {loss:.3f}, {left:.0f} s left",
    "训练，第 {epoch}/{epochs} 轮：损失 {loss:.3f}，还需 {left:.0f} 秒",
)
TUNED = Text("{reason}\n→ {folder}", "{reason}\n→ {folder}")
NO_TOKEN = Text(
    "Open the address that `fewshot-llm play` has printed; it carries the token.",
    "请打开 fewshot-llm play 打印的地址，里面带有令牌。",
)
