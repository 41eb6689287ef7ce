"""What an export says to people, in English and in Chinese: the linter, the certificate, notes and a bundle's card."""

from __future__ import annotations

from fewshot_llm.types import Text

__all__: list[str] = []

# What normalising an adapter changed.
FOLDED_SCALE = Text(
    "folded the scale ({scale}) into lora_B and set r = lora_alpha = {rank}, because servers would compute another one",
    "把缩放系数（{scale}）并入 lora_B，并设 r = lora_alpha = {rank}，因为服务端会算出另一个值",
)
WROTE_SCALE = Text(
    "wrote the scale {scale:g} as lora_alpha = {alpha} over r = {rank}",
    "把缩放系数 {scale:g} 写成 lora_alpha = {alpha}、r = {rank}",
)
PADDED_RANK = Text("padded rank {ranks} with zeros to {rank}", "把秩 {ranks} 用零补到 {rank}")
ADDED_LAYERS = Text(
    "added {n} updates of zero for layers that were left out, the first {first}",
    "为缺少的层补上 {n} 个零更新，第一个是 {first}",
)

# What a server cannot do.
LEFT_OUT = Text(
    "only the member with the adapter is here: {others} and the weights of the mixture are no part of what a server "
    "answers; load the saved folder with fewshot-llm for the whole answer",
    "此处只有带适配器的成员：{others}以及混合权重不在服务端的回答之内；要得到完整回答，"
    "请用 fewshot-llm 加载保存的文件夹",
)
HAS_TERMS = Text(
    "What derives from the base model comes under its terms: pass on the file `NOTICE` with this folder.",
    "由该基座模型派生的内容受其条款约束：转交此文件夹时请一并附上 `NOTICE`。",
)

# The card of a bundle, in both languages at once.
NOTHING_MENDED = Text("nothing", "无")
BIAS_AT_CLIENT = Text("No server knows the bias: clients add it to the scores.", "服务端不含偏置，由客户端加上。")
CARD = """---
base_model: {base}
language: {language}
tags: [text-classification, few-shot, lora]
---

# {name}: {task} on {base}, for {target}

Made by `fewshot-llm export --to {target}`. Labels are scored, not generated: a client sends the prompt of
`template.jinja` as token ids and compares the log-probabilities of the label words.

由 `fewshot-llm export --to {target}` 生成。标签靠打分得出，不靠生成：客户端把 `template.jinja` 的提示以 token id
发送，比较各标签词的对数概率。

```sh
{commands}
fewshot-llm verify .            # starts the server, compares, writes certificate.json 启动服务、对比、写证书
```

| label 标签 | scored words 标签词 |
| --- | --- |
{words}

- Base model 基座模型: {base} {revision} (SHA-256 {sha256})
- Calibration 校准: temperature {temperature:.4g}; bias per label in `calibration.json`.{bias}
- `golden.json` holds some of the support texts; take it out before you give the bundle away.
  `golden.json` 含部分样例原文，转交他人前请删除。

Mended on the way, without a change of what the adapter computes 导出时修正（不改变计算结果）:

{mended}
{besides}"""

# Why a certificate passed or failed.
NOT_ASKED = Text(
    "No server was asked yet. Run `fewshot-llm verify` on this folder.",
    "尚未与任何服务端对比。请对此文件夹运行 `fewshot-llm verify`。",
)
PASSED = Text("The server answers as transformers with peft does.", "服务端的回答与 transformers 加 peft 一致。")
PASSED_BUT_CHANGED = Text("{reason} But {files} changed since the export.", "{reason}但 {files} 在导出之后有改动。")
OTHER_TEMPLATE = Text(
    "The bundle's template differs from {template}, which the adapter was trained with, from character {at} on "
    "({found!r} in place of {expected!r}). Take the trained one.",
    "导出包的模板与训练时的 {template} 不同，从第 {at} 个字符起不一致（是 {found!r}，应为 {expected!r}）。"
    "请用训练时的模板。",
)
DOUBLED_BOS = Text(
    "The server puts token {token} before a prompt that needs no further one: a doubled BOS. Turn add_bos_token off in "
    "the server's tokenizer, or send token ids.",
    "服务端在不需要的提示前又加了词元 {token}：BOS 重复。请在服务端的分词器中关闭 add_bos_token，或直接发送 token id。",
)
OTHER_TOKENS = Text(
    "The server's tokenizer gives other ids from token {at} on: {found} in place of {expected}. Serve it with the base "
    "model's own tokenizer.",
    "服务端分词器从第 {at} 个词元起给出不同的 id：{found}，应为 {expected}。请使用基座模型自己的分词器。",
)
NO_EFFECT = Text(
    "The answers equal the adapter's, and they equal the base model's too: the adapter changes nothing that could be "
    "told from an adapter that is ignored. Train it longer.",
    "回答与适配器一致，但也与基座模型一致：适配器几乎没有作用，无法与“适配器被忽略”区分。请延长训练。",
)
IGNORED = Text(
    "The answers are the base model's: the server does not use the adapter. Check that it was started with it and that "
    "requests name it.",
    "回答与基座模型一致：服务端没有使用适配器。请检查启动时是否加载了它，以及请求中是否写了它的名字。",
)
OTHER_SCALE = Text(
    "The answers are those of the adapter at about {factor:.2f} times its scale: the server multiplies by another one "
    "(alpha, rsLoRA or a rank that was padded). Export with --to peft, which folds the scale into the weights.",
    "回答相当于适配器按约 {factor:.2f} 倍缩放的结果：服务端乘的是另一个系数（alpha、rsLoRA 或补过的秩）。"
    "请用 --to peft 导出，它会把缩放并入权重。",
)
LESS_EXACT = Text(
    "The answers follow the adapter's but are less exact than the tolerance allows: the server computes in lower "
    "precision or holds quantised weights. Start it in float32, or allow it with --quantised.",
    "回答与适配器走向一致，但误差超出容许范围：服务端以较低精度计算，或使用量化权重。请以 float32 启动，"
    "或用 --quantised 放宽。",
)
OTHER_WEIGHTS = Text(
    "The answers are neither the adapter's nor the base model's: another base model, another adapter, or layers that "
    "were left out.",
    "回答既不像适配器，也不像基座模型：可能是另一个基座模型、另一个适配器，或缺了某些层。",
)

# What the linter finds: the trait, what a server does with it, and what to do.
LINTED = Text("{found}; {server} {consequence}", "{found}；{server} {consequence}")
AND_MORE = Text("{names} (and {n} more)", "{names}（另有 {n} 个）")

ONE_FACTOR = Text("{path} has lora_{side} only", "{path} 只有 lora_{side}")
TWO_RANKS = Text(
    "{path} has a lora_A of rank {a} and a lora_B of rank {b}", "{path} 的 lora_A 秩为 {a}，lora_B 秩为 {b}"
)
NO_TENSORS = Text(
    "it holds {n} tensors, and no lora_A and lora_B among them", "其中有 {n} 个张量，但没有 lora_A 和 lora_B"
)
NOT_FINITE = Text("NaN or infinity stands in {names}", "{names} 中有 NaN 或无穷大")
TOO_LARGE = Text("{names} reaches {largest:.3g}", "{names} 达到 {largest:.3g}")
ALL_ZERO = Text(
    "every update is zero (all lora_B, or all lora_A): it changes nothing and was not trained",
    "所有更新都为零（全部 lora_B 或全部 lora_A）：它不起作用，没有训练过",
)
SOME_ZERO = Text("{n} of {all} updates are zero: {names}", "{all} 个更新中有 {n} 个为零：{names}")
UNTARGETED = Text(
    "{names} is trained, and target_modules does not name it", "{names} 训练过，但 target_modules 中没有它"
)
PICKLE = Text("the weights are a pickle, {name}", "权重是 pickle 文件 {name}")
DORA = Text("use_dora is set", "设置了 use_dora")
WHOLE_MODULES = Text("whole modules are saved: {names}", "保存了整个模块：{names}")
ADAPTS_HEAD = Text("it adapts {names}", "它改动了 {names}")
TRAINED_TOKENS = Text("token embeddings are trained", "训练了词元嵌入")
MORE_TOKENS = Text(
    "its tokenizer has {tokens} tokens, the base model {base}", "它的分词器有 {tokens} 个词元，基座模型有 {base} 个"
)
BIASES = Text("biases are trained", "训练了偏置")
INITIALISED = Text("it was initialised with {name}", "它以 {name} 初始化")
ODD_RANK = Text("rank {ranks} is none of {served}", "秩 {ranks} 不在 {served} 之中")
HIGH_RANK = Text("rank {rank} is over {most}", "秩 {rank} 超过 {most}")
RSLORA = Text("use_rslora is set", "设置了 use_rslora")
RANK_PATTERN = Text("rank_pattern gives modules different ranks", "rank_pattern 让各模块的秩不同")
ALPHA_PATTERN = Text("alpha_pattern gives modules different scales", "alpha_pattern 让各模块的缩放不同")
ALPHA = Text("lora_alpha is {alpha}", "lora_alpha 为 {alpha}")
MISSING_LAYER = Text("{first} has no update (and {n} more)", "{first} 没有更新（另有 {n} 个）")
STRANGER = Text("{name} does not fit the base model", "{name} 与基座模型不符")
OTHER_BASE = Text(
    "it was trained on weights {trained}, the base has {base}", "它在权重 {trained} 上训练，基座的权重是 {base}"
)
ODD_KEY = Text("a tensor is named {name}", "有张量名为 {name}")
ARCHITECTURE = Text("the base is a {name}", "基座是 {name}")
TOKENIZER = Text("the folder has a tokenizer that differs from the base model's", "文件夹中的分词器与基座模型的不同")
BARE = Text("the folder is an adapter without its base model", "文件夹只有适配器，没有基座模型")

RUNS_CODE = Text("would run code from it", "会执行其中的代码")
REFUSES = Text("refuses it", "会拒绝它")
REFUSES_OR_ANSWERS_AS_BASE = Text("refuses it, or answers as the base model does", "会拒绝它，或像基座模型那样回答")
REFUSES_OR_DROPS = Text("refuses it or drops the module", "会拒绝它，或丢掉该模块")
ANSWERS_NAN = Text("loads it and answers NaN, or rubbish, to every text", "会加载它，但对任何文本都回答 NaN 或乱码")
ANSWERS_AS_BASE = Text("serves it and answers as the base model does", "会加载它，但像基座模型那样回答")
APPLIES_OR_DROPS = Text("applies it or drops it, which peft does", "可能应用也可能丢掉它，peft 会丢掉")
AS_BASE_THERE = Text("answers as the base model does there", "在这些模块上与基座模型相同")
INFINITY_IN_HALF = Text("makes infinity of it where it serves in float16", "以 float16 服务时会把它变成无穷大")
LOADS_NONSENSE = Text("loads nonsense or fails", "会加载出无意义的结果，或失败")
REFUSES_OR_LEAVES_OUT = Text("refuses them or leaves them out", "会拒绝或略去它们")
NO_ROWS = Text("has no rows for them", "没有它们的嵌入行")
NO_BIASES = Text("does not load biases", "不加载偏置")
PUBLISHED_BASE = Text(
    "applies it to the published base, whose weights the initialisation had changed",
    "会把它用在公开的基座上，而初始化改过基座的权重",
)
NO_SUCH_RANK = Text(
    "has no --max-lora-rank of that size, and pads or refuses", "没有这个大小的 --max-lora-rank，会补零或拒绝"
)
ONE_RANK = Text("takes one rank for its memory pool", "内存池只用一个秩")
FEW_KERNELS = Text("has kernels for a few ranks only", "只有少数几个秩的内核")
WRONG_SCALE = Text("ignores it without a word, so the scale is wrong", "会不声不响地忽略它，缩放因此出错")
INTEGER_ALPHA = Text("declares lora_alpha an integer", "把 lora_alpha 声明为整数")
UNSIGNED_ALPHA = Text("parses lora_alpha as an unsigned integer and fails", "按无符号整数解析 lora_alpha，会失败")
STACKS_LAYERS = Text(
    "stacks q, k and v of a layer and fails on a missing one", "把一层的 q、k、v 叠在一起，缺一个就失败"
)
DROPS_TYPE = Text("drops that module type in all layers without a word", "会不声不响地在所有层丢掉这类模块")
NOT_FOUND = Text("does not find the tensor", "找不到该张量")
TWO_ARCHITECTURES = Text("converts adapters of llama and gemma2 only", "只转换 llama 和 gemma2 的适配器")
BASE_TOKENIZER = Text("uses the base model's tokenizer", "使用基座模型的分词器")
GGUF_TOKENIZER = Text("uses the tokenizer inside the base GGUF", "使用基座 GGUF 内的分词器")
WHOLE_MODELS = Text("serves whole models only", "只提供完整模型")

SAVE_SAFETENSORS = Text("save it again as safetensors", "重新保存为 safetensors")
COPY_AGAIN = Text("train it again, or copy the whole file", "重新训练，或完整复制文件")
SAVE_PRETRAINED = Text("save it again with save_pretrained", "用 save_pretrained 重新保存")
SMALLER_RATE = Text(
    "train again with a smaller learning rate, or in float32 or bfloat16",
    "用更小的学习率，或以 float32、bfloat16 重新训练",
)
TRAIN_AT_ALL = Text(
    "train it again: a learning rate, or a number of steps, of zero leaves lora_B at zero",
    "重新训练：学习率或步数为零时 lora_B 一直为零",
)
WRITE_TARGETS = Text(
    "write target_modules as it was trained, in adapter_config.json",
    "在 adapter_config.json 中按训练时的样子写 target_modules",
)
NOTHING_IF_MEANT = Text(
    "nothing where those modules were left out on purpose; else train again",
    "若有意不训练这些模块则不用处理，否则重新训练",
)
WIDER_FORMAT = Text(
    "serve in float32 or bfloat16 (--dtype), or train again with a smaller learning rate",
    "以 float32 或 bfloat16 提供服务（--dtype），或用更小的学习率重新训练",
)
GIVE_BASE = Text("give the base it was trained on", "给出训练时所用的基座")
NO_DORA = Text(
    "export with --to merged, or train with use_dora = false", "用 --to merged 导出，或以 use_dora = false 训练"
)
NO_MODULES_TO_SAVE = Text(
    "train without modules_to_save, or export with --to merged", "训练时不用 modules_to_save，或用 --to merged 导出"
)
NO_HEAD = Text(
    "train without lm_head and embeddings, or export with --to merged",
    "训练时不含 lm_head 和嵌入，或用 --to merged 导出",
)
OWN_TOKENS = Text("use the base model's own tokens in the template", "模板中使用基座模型自己的词元")
NO_BIAS = Text("train with bias = 'none', or export with --to merged", "以 bias = 'none' 训练，或用 --to merged 导出")
CONVERT_INIT = Text(
    "save it with path_initial_model_for_weight_conversion, or export with --to merged",
    "用 path_initial_model_for_weight_conversion 保存，或用 --to merged 导出",
)
SMALLER_RANK = Text("train with a smaller r, or export with --to merged", "以更小的 r 训练，或用 --to merged 导出")
PADS = Text("ranks are padded with zeros", "秩用零补齐")
FOLDS_SCALE = Text("the true scale is folded into lora_B", "真实的缩放并入 lora_B")
PADS_AND_FOLDS = Text(
    "ranks are padded to one value and the scale folded into lora_B", "秩补到同一个值，缩放并入 lora_B"
)
FOLDS_AND_SETS = Text(
    "the true scale is folded into lora_B and alpha set to the rank", "真实的缩放并入 lora_B，alpha 设为秩"
)
ADDS_ZEROS = Text("updates of zero are added", "补上零更新")
RENAMES = Text("tensors are renamed", "重命名张量")
TO_OLLAMA = Text("export with --to ollama, which writes the GGUF itself", "用 --to ollama 导出，它自己写 GGUF")
OWN_TOKENIZER = Text("train with the base model's own tokenizer", "用基座模型自己的分词器训练")
TO_WHOLE = Text("export with --to merged or --to decision", "用 --to merged 或 --to decision 导出")
