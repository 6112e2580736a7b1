"""The graph: understand → plan → draft … → assess → revise → draft … → assess → finalise."""

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from engine.author import Author
from engine.nodes import Nodes, after_assess, after_draft
from engine.state import SpecState

Graph = CompiledStateGraph[SpecState, None, SpecState, SpecState]

RECURSION_LIMIT = 200
"""Supersteps of one run: a file is one, and a cast has at most a few dozen."""


def build_graph(author: Author, checkpointer: BaseCheckpointSaver[str]) -> Graph:
    """The compiled graph; each step is committed to the checkpointer before the next begins."""
    nodes = Nodes(author)
    graph = StateGraph(SpecState)
    for node in (nodes.understand, nodes.plan, nodes.draft, nodes.assess, nodes.revise, nodes.finalise):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "plan")
    graph.add_edge("plan", "draft")
    graph.add_conditional_edges("draft", after_draft, ["draft", "assess"])
    graph.add_conditional_edges("assess", after_assess, ["revise", "finalise"])
    graph.add_edge("revise", "draft")
    graph.add_edge("finalise", END)
    return graph.compile(checkpointer=checkpointer)
