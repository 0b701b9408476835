"""What a server takes of the request's fields: learned from its refusals, for servers differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fourfold.llm.port import Chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a chat is asked for.

    Args:
        logprobs: whether log-probabilities are asked for.
        limit: the field that holds the answer's limit; some hosted models refuse the older name.
    """

    logprobs: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    def without(self, reason: str) -> Dialect | None:
        """The dialect to try after a refusal; None where the refusal is not about a field."""
        if self.logprobs and "logprobs" in reason:
            return replace(self, logprobs=False)
        if self.limit == "max_tokens" and "max_completion_tokens" in reason and "nsupported" in reason:
            return replace(self, limit="max_completion_tokens")
        return None

    def body(self, model: str, chat: Chat, max_tokens: int, more: Mapping[str, object]) -> bytes:
        """The request, decoded greedily. What it does not name is left to the server's own settings."""
        request: dict[str, object] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in chat],
            "temperature": 0,
            self.limit: max_tokens,
            **more,
        }
        if self.logprobs:
            # llama.cpp's server takes 0 for "none at all", and no number for 20 of each token: 2 kB a token.
            request |= {"logprobs": True, "top_logprobs": 1}
        return json.dumps(request).encode()
