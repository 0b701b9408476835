"""The modules' prompts."""

from __future__ import annotations

from fourfold.llm.port import Chat, Message

_REWRITE = (
    "You prepare a question for a search engine. Write the question again so that it is clear and stands alone. "
    "Then write {n} short search queries, each with other words. Write nothing else, in this form:\n"
    "Question: the clear question\n"
    "Query: a search query\n"
    "Query: another search query"
)
_ENTAIL = (
    "You judge whether a passage entails a statement. Answer Yes if the statement follows from the passage; "
    "answer No if it contradicts the passage or does not follow from it. Answer with one word."
)
_ANSWERS = "The passage holds a clear, unambiguous answer to the question: {question}"
_PROFILE = (
    "You keep notes about a user. From the dialogue, write down what the user says about themselves that helps to "
    "answer later questions: where they are, what they do, what they know, what they want. One short fact on each "
    "line, beginning with '- '. If there is nothing, write: none"
)


def rewrite_chat(question: str, n_queries: int) -> Chat:
    """Asks for a rewritten question and search queries."""
    return (
        Message(role="system", content=_REWRITE.format(n=n_queries)),
        Message(role="user", content=f"Question: {question}"),
    )


def entail_chat(premise: str, hypothesis: str) -> Chat:
    """Asks whether the premise entails the hypothesis."""
    return (
        Message(role="system", content=_ENTAIL),
        Message(role="user", content=f"Passage: {premise}\n\nStatement: {hypothesis}\n\nDoes the passage entail it?"),
    )


def answers_statement(question: str) -> str:
    """The hypothesis of the Knowledge Filter: that the passage answers the question."""
    return _ANSWERS.format(question=question)


def profile_chat(dialogue: str) -> Chat:
    """Asks what a dialogue tells about its user."""
    return (Message(role="system", content=_PROFILE), Message(role="user", content=f"Dialogue:\n{dialogue}"))
