"""Languages that a model has not read: found without a network, heeded by `auto`, said where a model was chosen."""

from __future__ import annotations

import pytest

from fewshot_llm.data import SupportSet, written_language
from fewshot_llm.errors import FewshotWarning
from fewshot_llm.models import resolve_auto
from fewshot_llm.predictors import make_scorer, text_language, warn_of_language

SAID = {
    "zh": ["物流很快，质量不错", "iPhone 手机壳很好看"],
    "en": ["Great product, arrived on time", "iPhone case", "Not good, box was broken"],
    "ru": ["Доставка быстрая, всё отлично", "Ужасное качество"],
    "uk": ["Дуже гарна якість, їм задоволений", "Не працює, жах і ганьба"],
    "ar": ["التوصيل سريع والجودة ممتازة", "منتج سيء جدا"],
    "fa": ["کیفیت خوب بود، پیشنهاد می‌کنم", "چیز خوبی نیست"],
    "he": ["משלוח מהיר ואיכות טובה"],
    "th": ["ส่งเร็วมาก คุณภาพดี", "แย่มาก ไม่แนะนำ"],
    "ja": ["配送が早くて品質も良い", "最悪、二度と買わない"],
    "ko": ["배송이 빠르고 품질이 좋아요", "최악이에요"],
    "el": ["Πολύ καλή ποιότητα"],
    "hi": ["बहुत अच्छा उत्पाद"],
    "de": ["Sehr gute Qualität, schnelle Lieferung", "Das ist leider nicht gut und kam zu spät"],
    "fr": ["Très bonne qualité, je suis content", "La livraison est trop lente et le produit ne marche pas"],
    "es": ["Muy buena calidad, llegó con rapidez", "No funciona y es un producto muy malo"],
    "it": ["Ottima qualità, sono molto contento", "Non funziona e il pacco è rotto"],
    "pt": ["Muito bom, o produto não veio com defeito", "Não gostei do produto, é muito ruim"],
    "tr": ["Çok güzel bir ürün ama kargo geç geldi", "Hiç iyi değil"],
    "pl": ["Bardzo dobra jakość, polecam", "Nie działa i jest zepsuty"],
    "vi": ["Giao hàng rất nhanh và sản phẩm đẹp", "Không tốt, tôi rất thất vọng"],
}


@pytest.mark.parametrize("language", SAID)
def test_a_language_is_told_from_two_reviews(language):
    assert written_language(SAID[language]) == language


def test_what_tells_nothing():
    assert written_language([]) is None
    assert written_language(["12345", "😀👍"]) is None
    assert text_language("zh", ["666"]) == "zh"


@pytest.mark.parametrize("language", ["ru", "ar", "th", "ja", "ko", "de", "zh"])
def test_auto_takes_a_model_that_has_read_it(language):
    assert resolve_auto(text_language("en", SAID[language])) == "gemma3-270m"
    assert resolve_auto(text_language("en", SAID["en"])) == "smollm2-135m"


def test_a_model_that_was_chosen_is_only_warned_of(recwarn):
    for name, language in (("gemma3-270m", "ru"), ("smollm2-135m", "en"), ("of-my-own", "ru")):
        warn_of_language(name, language)
    assert not recwarn.list
    with pytest.warns(FewshotWarning, match=r"look like Russian, and smollm2-135m has read English.*gemma3-270m"):
        warn_of_language("smollm2-135m", "ru")


def test_a_classifier_says_so_before_it_labels(llama):
    from dataclasses import replace

    from fewshot_llm import FewShotClassifier

    named = replace(llama, name="smollm2-135m")
    texts = ["Всё отлично", "Ужасно", "Очень хорошо", "Плохое качество"]
    with pytest.warns(FewshotWarning, match="Russian"):
        FewShotClassifier(model=named, shots=1).fit(texts, ["positive", "negative"] * 2)
    with pytest.warns(FewshotWarning, match="Thai"):
        make_scorer(named, "th")
    assert SupportSet.from_lists(texts, ["positive", "negative"] * 2).labels == ("negative", "positive")
