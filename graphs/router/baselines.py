"""What the router must beat, in the same run: TF-IDF with logistic regression, keywords, length.

Needs the `train` extra for TF-IDF.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_COMMERCE: Final = re.compile(
    r"\b(?:buy|order|book|booking|reserve|reservation|ticket|flight|hotel|room|restaurant|table"
    r"|taxi|cab|uber|ride|rent|rental|price|cheap|under \$?\d+|delivery|deliver|shipping|refund"
    r"|return|cancel|purchase|shop"
    r"|store|appointment|schedule an?|menu|checkout|cart|size)\b"
    r"|订|买|购|下单|酒店|餐馆|餐厅|机票|打车|出租车|快递|退款|退货|多少钱|人均|预约|外卖"
)
_REASONING: Final = re.compile(
    r"\b(?:prove|proof|derive|implement|design|algorithm|function|code|debug|complexity|equation"
    r"|calculate|analy[sz]e|evaluate|theorem|integral|probability|architecture|essay|step by step"
    r"|how many|how much|if .* then|assume|suppose)\b"
    r"|证明|推导|设计|实现|分析|算法|函数|代码|求|已知|计算|架构|论证|下列"
)


def by_keywords(text: str) -> str:
    """Sixty keywords and one length: the rule that a first version always starts from."""
    low = text.lower()
    if len(low) > 400 or _REASONING.search(low):
        return "complex"
    return "commercial" if _COMMERCE.search(low) else "casual"


def by_length(text: str) -> str:
    return "complex" if len(text) > 150 else "casual"


def by_tf_idf(train: Sequence[str], kinds: Sequence[str], test: Sequence[str]) -> NDArray[np.str_]:
    """Character 2–5-grams and word 1–2-grams, logistic regression (C 8, balanced classes)."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - train extra
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_union  # noqa: PLC0415

    space = make_union(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    )
    model = LogisticRegression(C=8, class_weight="balanced", max_iter=300)
    model.fit(space.fit_transform(train), kinds)
    found: NDArray[np.str_] = model.predict(space.transform(test))
    return found
