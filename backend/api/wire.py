"""Routes and quotas as every surface shows them: the same names in JSON, events and headers."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from graphs.state import Routed

_SAID = {
    "en": {
        "casual": "everyday question",
        "complex": "needs reasoning",
        "commercial": "shopping or booking",
        "effort-up": "you asked for more thought",
        "effort-down": "you asked for a short answer",
        "light-model": "you asked for the small model",
        "named": "you asked for {model}",
        "user": "as you chose",
        "judge-silent": "not sure, so the careful way",
        "domain": {
            "maths": "maths",
            "coding": "code",
            "science": "science",
            "logic": "logic",
            "law": "law",
            "finance": "finance",
            "medicine": "medicine",
            "data": "data analysis",
            "writing": "long writing",
            "documents": "a long document",
        },
        "role": {
            "light": "light",
            "reasoning": "reasoning",
            "agent": "the shopping agent",
            "light_mini": "the light mini model",
            "reasoning_mini": "the reasoning mini model",
        },
        "by": "Answered by {role}: {what}",
        "used": "; the {role} allowance is used up",
    },
    "zh": {
        "casual": "日常问题",
        "complex": "需要推理",
        "commercial": "购物或预订",
        "effort-up": "您要求多想一想",
        "effort-down": "您要求简短回答",
        "light-model": "您要求用小模型",
        "named": "您点名要{model}",
        "user": "按您的选择",
        "judge-silent": "拿不准，谨慎处理",
        "domain": {
            "maths": "数学题",
            "coding": "编程问题",
            "science": "理科题",
            "logic": "逻辑题",
            "law": "法律问题",
            "finance": "财务问题",
            "medicine": "医学问题",
            "data": "数据分析",
            "writing": "长文写作",
            "documents": "长文档",
        },
        "role": {
            "light": "轻量模型",
            "reasoning": "推理模型",
            "agent": "购物助手",
            "light_mini": "轻量迷你模型",
            "reasoning_mini": "推理迷你模型",
        },
        "by": "由{role}回答：{what}",
        "used": "；{role}的额度已用完",
    },
}


def route_json(routed: Routed, requested: str) -> dict[str, Any]:
    """Contract §4's `route`, with `intent` for AG-UI readers and one line for a person."""
    route, admission = routed.route, routed.admission
    return {
        "kind": route.kind,
        "intent": route.kind,
        "sub": route.sub,
        "domain": route.domain,
        "action": route.action,
        "role": admission.role,
        "requested_role": route.role,
        "model": admission.model,
        "requested": requested,
        "effort": admission.effort,
        "requested_effort": route.effort,
        "cause": route.cause,
        "confidence": round(route.confidence, 4),
        "policy_version": route.policy_version,
        "downgrade_reason": admission.downgrade_reason,
        "instead_of": admission.instead_of,
        "explanation": _explain(routed),
    }


def _explain(routed: Routed) -> str:
    words: Any = _SAID[routed.language]
    line = words["by"].format(role=words["role"][routed.admission.role], what=_why(routed, words))
    if routed.admission.downgrade_reason:
        asked = words["role"].get(routed.route.role, routed.route.role)
        line += words["used"].format(role=asked)
    return str(line)


def _why(routed: Routed, words: Any) -> str:
    """What the person did to get here, else an operator's policy, else the subject of the work,
    else its kind."""
    route, model = routed.route, routed.admission.model
    if route.asked_model == model:
        return str(words["named"].format(model=model))
    if route.cause.startswith("policy:"):
        return f"{route.domain} · {route.action}".replace("-", " ").replace("_", " ")
    subject = words["domain"].get(route.domain) if route.kind == "complex" else None
    return str(words.get(route.cause) or subject or words[route.kind])


def _binding(quota: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The bucket that this turn used, else the one that kept it out, else the tightest one."""
    buckets = quota.get("buckets") or []
    charged = quota.get("charged") or {quota.get("binding")}
    used = [b for b in buckets if b["name"] in charged] or list(buckets)
    return min(used, key=lambda b: b["remaining"], default=None)


def headers(routed: Routed) -> dict[str, str]:
    """`x-emptor-*` and OpenAI's `x-ratelimit-*`, known before the first token."""
    admission = routed.admission
    said = {
        "x-emptor-kind": routed.route.kind,
        "x-emptor-role": admission.role,
        "x-emptor-model": admission.model,
    }
    if admission.downgrade_reason:
        said["x-emptor-downgrade-reason"] = admission.downgrade_reason
        said["x-emptor-requested-role"] = routed.route.role
    if admission.instead_of:
        said["x-emptor-instead-of"] = admission.instead_of
    return said | limits(admission.quota)


def limits(quota: Mapping[str, Any]) -> dict[str, str]:
    """The allowance's part of the headers: of an answer, and of a refusal for want of it."""
    bucket = _binding(quota)
    if bucket is None:
        return {}
    # A rolling window has no end: what can be waited for is its next room, and there may be room.
    reset = bucket.get("resets_at") or bucket.get("next_free_at") or ""
    left_s = _seconds_until(reset)
    warning = bucket.get("warning")
    return {
        **({"x-emptor-quota-warning": f"{bucket['name']}={warning}"} if warning else {}),
        "ratelimit": f'"{bucket["name"]}";r={bucket["remaining"]};t={left_s}',
        "ratelimit-policy": f'"{bucket["name"]}";q={bucket["cap"]};w={bucket["window_s"]}',
        "x-emptor-quota-remaining": str(bucket["remaining"]),
        **({"x-emptor-quota-reset": str(reset)} if reset else {}),
        "x-ratelimit-limit-requests": str(bucket["cap"]),
        "x-ratelimit-remaining-requests": str(bucket["remaining"]),
        "x-ratelimit-reset-requests": _duration(left_s),
    }


def _seconds_until(reset: str) -> int:
    """For display only: what counts is the moment, which the database's clock decides."""
    if not reset:
        return 0
    return max(0, math.ceil((datetime.fromisoformat(reset) - datetime.now(UTC)).total_seconds()))


def _duration(seconds: int) -> str:
    """As OpenAI writes it: `6m0s`, `1h2m3s`."""
    hours, rest = divmod(max(0, seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if hours or minutes else "", f"{rest}s"]
    return "".join(parts)
