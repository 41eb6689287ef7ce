"""What the report says, in English and in Chinese, whole sentences with named places; and how it writes numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fewshot_llm.evaluation.figures import Obstacle
from fewshot_llm.stats.intervals import Estimand, Interval
from fewshot_llm.types import Text

__all__ = ["ReportWords"]


@dataclass(frozen=True)
class ReportWords:
    """Says things in Chinese for `zh…`, else in English.

    Attributes:
        language: of the report.

    >>> ReportWords("zh")(ROWS), ReportWords("en").percent(0.8625), ReportWords("en").signed_points(-0.012)
    ('条数', '86.2%', '−1.2')
    """

    language: str

    def __call__(self, text: Text, **values: object) -> str:
        """A text of this module with its places filled; a `Text` among the values is said in the same language."""
        return text.fill(**values).say(self.language)

    def percent(self, share: float, digits: int = 1) -> str:
        """A share as a percentage; a dash where there is none."""
        return "–" if not math.isfinite(share) else f"{100 * share:.{digits}f}%"

    def between(self, interval: Interval) -> str:
        """An interval's bounds as percentages."""
        return self(RANGE, low=self.percent(interval.low), high=self.percent(interval.high))

    def share(self, interval: Interval) -> str:
        """A share with its bounds."""
        if not math.isfinite(interval.value):
            return "–"
        return self(BOUNDED, value=self.percent(interval.value), bounds=self.between(interval))

    def signed_points(self, difference: float) -> str:
        """A difference of shares in percentage points, with its sign."""
        return f"{100 * difference:+.1f}".replace("-", "−")

    def points(self, interval: Interval) -> str:
        """A difference of shares in percentage points with its bounds."""
        bounds = RANGE.fill(low=self.signed_points(interval.low), high=self.signed_points(interval.high))
        return self(BOUNDED, value=self.signed_points(interval.value), bounds=bounds)

    def figure(self, interval: Interval) -> str:
        """A figure that is no share, with its bounds."""
        bounds = RANGE.fill(low=f"{interval.low:.3f}", high=f"{interval.high:.3f}")
        return self(BOUNDED, value=f"{interval.value:.3f}", bounds=bounds)

    def probability(self, value: float) -> str:
        """A probability with two digits."""
        return f"{value:.2f}"

    def seconds(self, value: float) -> str:
        """A duration in the unit that suits it."""
        if value < 90:
            return self(SECONDS, value=value)
        if value < 5400:
            return self(MINUTES, value=value / 60)
        return self(HOURS, value=value / 3600)


RANGE = Text("{low} to {high}", "{low} 至 {high}")
BOUNDED = Text("{value} ({bounds})", "{value}（{bounds}）")
SECONDS = Text("{value:.1f} s", "{value:.1f} 秒")
MINUTES = Text("{value:.1f} min", "{value:.1f} 分钟")
HOURS = Text("{value:.1f} h", "{value:.1f} 小时")

# Titles of columns and axes.
ROWS = Text("rows", "条数")
LABEL = Text("label", "标签")
TARGET = Text("target", "目标")
ACCURACY = Text("accuracy", "准确率")
LOG_LOSS = Text("log loss", "对数损失")
OUT_OF_FOLD = Text("accuracy out of fold", "折外准确率")
CORRECTED = Text("corrected for the choice", "校正择优后")
RUNG = Text("rung", "阶梯")
TIME_TO_MEASURE = Text("time to measure", "测量用时")
TIME_TO_LEARN = Text("time to learn", "学习用时")
TIME_TO_ANSWER = Text("time to answer", "判定用时")
ROWS_PER_SECOND = Text("rows per second", "每秒条数")
FOUND = Text("found", "召回率")
TRUSTWORTHY = Text("trustworthy", "精确率")
TRUTH = Text("in truth", "实际")
TAKEN_FOR = Text("taken for", "误判为")
ANSWER = Text("answer", "判定")
PROBABILITY = Text("probability", "概率")
MEAN_PROBABILITY = Text("mean probability", "平均概率")
RIGHT = Text("share that is right", "正确率")
AT_LEAST = Text("probability at least", "概率不低于")
ANSWERED = Text("share of rows answered", "自动判定的比例")
ANSWERED_RIGHT = Text("share of them that is right", "其中正确的比例")
ROW = Text("row", "编号")
TEXT = Text("text", "文本")
SECOND = Text("second", "其次")
ATTACK = Text("attack", "攻击方式")
ANSWERS_CHANGED = Text("answers changed", "判定改变")
ACCURACY_BEFORE = Text("accuracy before", "之前的准确率")
AFTER = Text("after", "之后")
ORIGINAL = Text("text", "原文")
CHANGED = Text("changed", "改后")
SHOTS = Text("demonstrations per class", "每类示例数")
DEMONSTRATIONS = Text("demonstrations", "示例数")
PER_CLASS = Text("labelled rows per class", "每类样例数")
FINDING = Text("finding", "发现")
SEVERITY = {"error": Text("error", "错误"), "warning": Text("warning", "警告"), "info": Text("note", "提示")}
TIME_FOR_1000 = Text("time for 1,000 rows", "每千条用时")
TOKENS = Text("tokens per row", "每条词元数")
COMPUTED = Text("of which computed", "其中实际计算")
PRICE = Text("price of 1,000 rows", "每千条价格")
METHOD = Text("method", "方法")
MODEL = Text("model", "模型")
DRAWS = Text("draws", "抽取次数")
BALANCED = Text("balanced", "均衡准确率")
CELL = Text("cell", "单元")
REASON = Text("reason", "原因")

# The whole page.
PAGE_TITLE = Text("{task}: how good are the answers?", "{task}：效果报告")
PAGE_ABOUT = Text(
    "Model {model}, {labels} labels, {rows} test rows", "模型 {model}，{labels} 个标签，{rows} 条测试数据"
)
PAGE_FOOTER = Text(
    "Made with fewshot-llm ({versions}). Test rows {test}, labelled rows {support}, model {model}.",
    "由 fewshot-llm 生成（{versions}）。测试数据 {test}，样例 {support}，模型 {model}。",
)

# How often the answers are right.
ACCURACY_TITLE = Text("Accuracy", "准确率")
ACCURACY_INTERVAL = Text("accuracy; {level:.0%} interval {bounds}", "准确率；{level:.0%} 区间 {bounds}")
ACCURACY_CHART = Text("Accuracy, its interval and the target", "准确率、区间与目标")
MEASURED_ONCE = Text(
    "Measured on {rows} test rows with {shots} demonstrations per class. The target is {target} (the mark on the "
    "scale). {about}",
    "在 {rows} 条测试数据上测得，每类 {shots} 个示例。目标为 {target}（标尺上的竖线）。{about}",
)
MEASURED_DRAWS = Text(
    "Measured on {rows} test rows with {shots} demonstrations per class, as the mean over {draws} draws of the "
    "labelled rows. The target is {target} (the mark on the scale). {about}",
    "在 {rows} 条测试数据上测得，每类 {shots} 个示例，为 {draws} 次抽取样例的平均值。目标为 {target}（标尺上的竖线）。"
    "{about}",
)
FOR_NEW_DRAWS = Text(
    "The interval is for new test rows and new draws of the labelled rows (there are {draws}).",
    "区间针对新的测试数据和重新抽取的样例（共抽取 {draws} 次）。",
)
FOR_THIS_DRAW = Text(
    "The interval is for these labelled rows on new test rows; what other labelled rows would give is told from "
    "{least} draws on (--seeds).",
    "区间针对这一批样例用在新的测试数据上的情形；换一批样例会怎样，至少抽取 {least} 次（--seeds）才能估计。",
)
FOR_THESE_DRAWS = Text(
    "The interval is for these {draws} draws of the labelled rows on new test rows; what other labelled rows would "
    "give is told from {least} draws on (--seeds).",
    "区间针对这 {draws} 次抽取的样例用在新的测试数据上的情形；换一批样例会怎样，至少抽取 {least} 次（--seeds）"
    "才能估计。",
)
REACHES = Text("Reaches the target of {goal} (at the {level:.0%} level).", "达到目标 {goal}（{level:.0%} 水平）。")
MISSES = Text("Misses the target of {goal} (at the {level:.0%} level).", "未达目标 {goal}（{level:.0%} 水平）。")
ABOVE_UNSURE = Text(
    "At or above the target of {goal} on these rows, but {rows} test rows are too few to tell. {wanted}",
    "在这些数据上达到目标 {goal}，但 {rows} 条测试数据太少，无法判断。{wanted}",
)
BELOW_UNSURE = Text(
    "Below the target of {goal} on these rows, but {rows} test rows are too few to tell. {wanted}",
    "在这些数据上低于目标 {goal}，但 {rows} 条测试数据太少，无法判断。{wanted}",
)
TOO_NEAR = Text(
    "The accuracy is so near the target that no reasonable number of rows would tell.",
    "准确率与目标过于接近，再多的测试数据也难以判断。",
)
MORE_DRAWS = Text(
    "As many rows would do; what is unsure is how much other draws of the labelled rows differ: measure more draws "
    "(--seeds).",
    "测试数据的数量已经足够；不确定的是换一批样例会差多少：请增加抽取次数（--seeds）。",
)
MORE_ROWS = Text(
    "Were the accuracy to stay as it is, about {needed:,} test rows would tell.",
    "若准确率保持不变，约需 {needed:,} 条测试数据才能判断。",
)
LEAKED = Text(
    "Of {given} test rows, {leaked} are also among the labelled rows; they were left out.",
    "{given} 条测试数据中，{leaked} 条也出现在样例中，已剔除。",
)
UNKNOWN_LABEL = Text(
    "Of {given} test rows, {unknown} have a label that the labelled rows do not have; they were left out.",
    "{given} 条测试数据中，{unknown} 条的标签不在样例的标签中，已剔除。",
)
LEAKED_AND_UNKNOWN = Text(
    "Of {given} test rows, {leaked} are also among the labelled rows and {unknown} have a label that the labelled rows "
    "do not have; they were left out.",
    "{given} 条测试数据中，{leaked} 条也出现在样例中，{unknown} 条的标签不在样例的标签中，已剔除。",
)
WORDS_ALONE = Text(
    "Words alone (word and character n-grams with logistic regression, fitted on the same rows) reach {accuracy}.",
    "仅用词语（词与字的 n-gram 加逻辑回归，使用相同样例）可达到 {accuracy}。",
)
NO_WORDS = Text(
    "What words alone reach is not known: that needs two labelled rows or more of each class.",
    "仅用词语能达到多少未知：每类至少需要两条样例。",
)

# The ladder.
LADDER_TITLE = Text("The ladder", "阶梯决定")
NO_DECISION = Text(
    "No decision of the ladder is known. `fewshot-llm tune TASK --support FILE --out DIR` makes one; "
    "`fewshot-llm report RESULT.json --tuned DIR` shows it here.",
    "没有阶梯的决定。运行 `fewshot-llm tune 任务 --support 文件 --out 目录` 可得到，"
    "再用 `fewshot-llm report RESULT.json --tuned 目录` 在此显示。",
)
LADDER_CHART = Text("Accuracy of each rung on the labelled rows", "各级在样例上的准确率")

# Labels.
LABELS_TITLE = Text("Weak labels", "薄弱标签")
LABELS_CAPTION = Text(
    "The weakest first. Found: share of the label's rows that were given it. Trustworthy: share of the rows given it "
    "that belong to it.",
    "由弱到强。召回率：该标签的数据中被正确找出的比例；精确率：判为该标签的数据中正确的比例。",
)
FOUND_AXIS = Text("share of the label's rows that was found", "召回率")
WEAKEST_CHART = Text("The {n} weakest labels", "最弱的 {n} 个标签")
MISTAKES_CAPTION = Text("The commonest mistakes.", "最常见的错误。")
MATRIX_CHART = Text("Confusion matrix", "混淆矩阵")
ONLY_RUN = Text("Accuracy of this classifier: {accuracy}.", "该分类器的准确率：{accuracy}。")
ONE_RUN = Text(
    "From here on, labels, probabilities and rows are those of one classifier: {shots} demonstrations per class, draw "
    "{seed}; accuracy {accuracy}.",
    "以下标签、概率和文本均来自同一个分类器：每类 {shots} 个示例，第 {seed} 号抽取；准确率 {accuracy}。",
)

# Probabilities.
PROBABILITIES_TITLE = Text("Probabilities", "概率可信度")
NOT_CALIBRATED = Text(
    "The probabilities before calibration are not shown: nothing was calibrated (--calibration).",
    "未显示校准前的概率：没有进行校准（--calibration）。",
)
AVERAGED = Text(
    "The probabilities before calibration are not shown: several draws were averaged (--permutations 1 shows them).",
    "未显示校准前的概率：结果为多次抽取的平均（--permutations 1 可显示）。",
)
ECE = Text("Expected calibration error (ECE): {now}.", "期望校准误差（ECE）：{now}。")
ECE_BEFORE = Text(
    "Expected calibration error (ECE): {now} after calibration, {before} before. It is the mean distance between the "
    "probability and the share that is right; on few rows chance alone makes it some percent.",
    "期望校准误差（ECE）：校准后 {now}，校准前 {before}。它是概率与实际正确率的平均差距；"
    "数据少时，仅偶然就会有几个百分点。",
)
AFTER_CALIBRATION = Text("after calibration", "校准后")
BEFORE_CALIBRATION = Text("before calibration", "校准前")
RELIABILITY_CHART = Text("Reliability (diagonal: as it should be)", "可靠性图（对角线为理想情况）")
COVERAGE_CHART = Text("Accuracy by share answered (dotted: the target)", "准确率与自动判定比例（点线：目标）")
NO_THRESHOLD = Text(
    "On these rows, at no threshold are the answered rows right as often as {goal}.",
    "在这些数据上，无论阈值设在哪里，自动判定的正确率都达不到 {goal}。",
)
ALL_ANSWERED = Text(
    "With all of these rows answered, the share that is right is not below the target of {goal}: {accuracy}.",
    "在这些数据上，全部自动判定即可达到目标 {goal}：{accuracy}。",
)
THRESHOLD = Text(
    "Answer only where the probability is at least {threshold}: that is {share} of these rows, and {accuracy} of them "
    "are right (target {goal}). The threshold was read off these rows; expect less on others, and set it with "
    "`--max-error`, which tests it.",
    "只在概率不低于 {threshold} 时自动判定：覆盖这批数据的 {share}，其中 {accuracy} 正确（目标 {goal}）。"
    "阈值取自这批数据，用在别的数据上会差一些；`--max-error` 会用检验来确定阈值。",
)

# Rows.
ROWS_TITLE = Text("Rows worth reading", "值得一看")
NO_TEXTS = Text(
    "The texts were kept out of this result; rows are named by their number. Measure without --without-texts to see "
    "them.",
    "结果中未保存文本，仅以编号表示。去掉 --without-texts 重新测量即可显示。",
)
MISTAKES = Text(
    "The surest mistakes. Look at the label first: some are wrong in the file.",
    "最有把握的错误。请先核对标签：有些是标注有误。",
)
NO_MISTAKE = Text("There is no mistake among the test rows.", "测试数据中没有错误。")
LEAST_SURE = Text(
    "The least sure answers: labelling rows like these teaches most.", "最没把握的判定：标注这类数据最有收获。"
)
WHY_TITLE = Text("Why these answers", "为什么这样判定")
NOT_EXPLAINED = Text(
    "No answers were explained. `fewshot-llm evaluate … --report DIR` explains some; `fewshot-llm explain TASK "
    "--support FILE --text TEXT` explains any text.",
    "没有解释任何判定。`fewshot-llm evaluate … --report 目录` 会解释其中几条；`fewshot-llm explain 任务 "
    "--support 文件 --text 文本` 可解释任意文本。",
)
EXPLAINED = Text(
    "Each word was taken away and the text scored again, and so was each demonstration. Effects are in nats of the "
    "answer's log-odds against the second best label, and do not add up.",
    "逐个去掉文本中的词、以及提示词中的示例，再重新打分。影响是判定相对次优标签的对数几率之差（nats），不能相加。",
)
EXPLAINED_RIGHT = Text("Row {number}, in truth {label}.", "第 {number} 条，实际为 {label}。")
EXPLAINED_WRONG = Text("Row {number}, in truth {label}: a mistake.", "第 {number} 条，实际为 {label}：判错。")
ATTACKS_TITLE = Text("Attacks", "攻击测试")
NOT_ATTACKED = Text(
    "No attacks were tried. `fewshot-llm attack TASK --support FILE --test FILE --add-to RESULT.json` changes texts, "
    "counts the answers that change, and puts that into the result.",
    "没有进行攻击测试。`fewshot-llm attack 任务 --support 文件 --test 文件 --add-to RESULT.json` 会改动文本、"
    "统计改变的判定，并写入结果。",
)
ATTACKS_CAPTION = Text("One changed answer of each.", "每种各举一例。")

# What more labelled rows would bring.
CURVE_TITLE = Text("More labelled rows", "再多标注")
CURVE_CHART = Text("Accuracy by labelled rows (dotted: the target)", "准确率随样例数的变化（点线：目标）")
WORTH = {
    True: Text(
        "{more} more rows of every class, from {rows} to {then}, are worth about {gain} points of accuracy.",
        "每类再加 {more} 条（从 {rows} 条到 {then} 条），准确率约提高 {gain}个百分点。",
    ),
    False: Text(
        "{more} more rows of every class, from {rows} to {then}, may change accuracy by {gain} points: the runs do not "
        "tell whether they help.",
        "每类再加 {more} 条（从 {rows} 条到 {then} 条），准确率变化约 {gain} 个百分点：现有结果无法判断是否有帮助。",
    ),
}
POWER_LAW: dict[Estimand, Text] = {
    "rows": Text(
        "{worth} A power law is fitted to the runs and read beyond them (dashed); the {level:.0%} interval covers "
        "other test rows and a curve that bends between the runs, not one that bends later. Only labelling tells.",
        "{worth}这是用幂律拟合各次测量后外推所得（虚线）；{level:.0%} 区间包含换测试数据以及曲线在已测范围内"
        "弯折带来的变化，不包含曲线此后才弯折的可能。只有真正标注后才知道。",
    ),
    "rows and draws": Text(
        "{worth} A power law is fitted to the runs and read beyond them (dashed); the {level:.0%} interval covers "
        "other test rows and other draws and a curve that bends between the runs, not one that bends later. Only "
        "labelling tells.",
        "{worth}这是用幂律拟合各次测量后外推所得（虚线）；{level:.0%} 区间包含换测试数据、换样例以及曲线在已测范围内"
        "弯折带来的变化，不包含曲线此后才弯折的可能。只有真正标注后才知道。",
    ),
}
POOR_FIT = Text(
    "{text} The fitted curve misses a measured accuracy by more than its interval: take these figures for a guess.",
    "{text}拟合曲线偏离了某个实测准确率，超出其区间：以下数字只能当作猜测。",
)
MORE_ROWS_OF = Text("{more} more rows of", "再加 {more} 条的类别")
SHARE_OF_TEST = Text("its share of the test rows", "占测试数据")
WORTH_POINTS = Text("worth, points", "价值（百分点）")
READING = Text("reading", "解读")
WORTH_LABELLING = Text("worth labelling", "值得标注")
LESS_THAN_NOTHING = Text("less than nothing, it seems", "似乎没有用处")
CANNOT_TELL = Text("cannot tell", "无法判断")
ONE_CLASS = Text(
    "One class alone, supposing that it gains as it did while all classes grew together.",
    "只增加一个类别，并假设其收益与各类同时增加时相同。",
)
ONE_CLASS_OF_MANY = Text(
    "One class alone, supposing that it gains as it did while all classes grew together; the {shown} largest of "
    "{classes}.",
    "只增加一个类别，并假设其收益与各类同时增加时相同；{classes} 类中最大的 {shown} 个。",
)
OBSTACLES: dict[Obstacle, Text] = {
    "same rows": Text(
        "What {more} more rows of a class are worth cannot be said: all runs learned from as many rows. Measure "
        "without --rows-per-class: --shots 4,8,16.",
        "无法判断某一类再加 {more} 条有多大用处：各次测量所用样例数相同。请去掉 --rows-per-class 再测："
        "--shots 4,8,16。",
    ),
    "too few sizes": Text(
        "What {more} more rows of a class are worth cannot be said: that needs runs with at least three numbers of "
        "labelled rows, zero-shot apart: --shots 4,8,16.",
        "无法判断某一类再加 {more} 条有多大用处：至少需要三种样例数（零样本除外）：--shots 4,8,16。",
    ),
    "too far": Text(
        "What {more} more rows of a class are worth cannot be said: it lies more than {farthest} times beyond the "
        "largest number of rows that was measured. Measure with more: --shots 4,8,16.",
        "无法判断某一类再加 {more} 条有多大用处：已超出所测最大样例数的 {farthest} 倍。请用更多样例再测："
        "--shots 4,8,16。",
    ),
}

# What went in, and what it cost.
SUPPORT_TITLE = Text("Labelled rows", "样例体检")
NOT_EXAMINED = Text(
    "The labelled rows were not examined: `fewshot-llm check TASK --support FILE` does it.",
    "未检查样例：可运行 `fewshot-llm check 任务 --support 文件`。",
)
PROMPT_TITLE = Text("Prompt", "提示词")
NO_PROMPT = Text(
    "The prompt was kept out of this result: `fewshot-llm render TASK --support FILE --text T` prints it.",
    "结果中未保存提示词：可运行 `fewshot-llm render 任务 --support 文件 --text 文本` 查看。",
)
PROMPT = Text(
    "What the model reads for the first test row: template {template}, {demonstrations} demonstrations. Then each of "
    "these is scored in the place of the answer: {answers}.",
    "模型对第一条测试数据读到的内容：模板 {template}，{demonstrations} 个示例。随后在答案处给以下各项打分：{answers}。",
)
ANSWERS_ALONE = Text("No prompt is asked; what answers: {rung}.", "不使用提示词；作答的方法：{rung}。")
ANSWERS_TOGETHER = Text(
    "Several predictors answer together; each one's log-probabilities count by its weight: {members}.",
    "多种方法共同作答，各自的对数概率按权重相加：{members}。",
)
MEMBER = Text("{rung} {weight:.2f}", "{rung} {weight:.2f}")
RUNG_WITH = Text("{rung} ({encoder})", "{rung}（{encoder}）")
COST_TITLE = Text("Time and cost", "时间与费用")
NO_PRICE = Text(
    "Money: --price-per-million-tokens P adds what 1,000 rows cost.",
    "费用：加上 --price-per-million-tokens P，可显示每千条的价格。",
)
UNKNOWN_MACHINE = Text("an unknown machine", "未知机器")
MEASURED_ON = Text("Measured on {device}.", "设备：{device}。")
MEASURED_ON_THREADS = Text("Measured on {device}, {threads} threads.", "设备：{device}，{threads} 个线程。")
SHARED_PREFIXES = Text(
    "{machine} Computed tokens are fewer than those of one full pass per prompt and label, because shared prefixes are "
    "computed once.",
    "{machine}由于相同的前缀只计算一次，实际计算的词元少于逐条逐标签完整计算的数量。",
)

# A suite.
SUITE_TITLE = Text("{suite}: methods compared", "{suite}：方法对比")
SUITE_ABOUT = Text("{about} {rows} test rows, {labels} labels.", "{about} {rows} 条测试数据，{labels} 个标签。")
SUITE_FOOTER = Text(
    "Made with fewshot-llm on {machine}. Test rows {test}.", "由 fewshot-llm 生成；{machine}。测试数据 {test}。"
)
SUITE_CHART = Text("Accuracy with 95% intervals", "准确率与 95% 区间")
SUITE_MEANS = Text(
    "Means over draws of the labelled rows. {estimands} Overlapping intervals do not mean that two methods are equal: "
    "`fewshot-llm compare RESULT.json --method M` pairs their answers row by row.",
    "各次抽取样例的平均值。{estimands}区间重叠并不表示两种方法相同："
    "`fewshot-llm compare RESULT.json --method 方法` 会逐条配对比较。",
)
FEW_DRAWS = Text(
    "Intervals are for these draws on new test rows: fewer than five draws do not tell how much draws differ.",
    "区间针对这几次抽取的样例用在新的测试数据上的情形：不足五次抽取，无法判断换样例会差多少。",
)
ENOUGH_DRAWS = Text(
    "Intervals are for new test rows and new draws of the labelled rows.", "区间针对新的测试数据和重新抽取的样例。"
)
SOMETIMES_ENOUGH_DRAWS = Text(
    "Intervals are for new test rows; where there are five draws or more, for new draws too.",
    "区间针对新的测试数据；抽取五次以上时，也针对重新抽取的样例。",
)
TIME_TITLE = Text("Time", "时间")
FAILURES_TITLE = Text("Not measured", "未测量")
FAILURES = Text("These could not be measured.", "以下未能测量。")
