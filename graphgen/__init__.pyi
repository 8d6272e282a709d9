from .build import BuildConfig as BuildConfig
from .build import build_graph as build_graph
from .description import GraphDescription as GraphDescription
from .description import describe as describe
from .graph import InterestGraph as InterestGraph
from .graph import load_graph as load_graph
from .log import InteractionLog as InteractionLog
from .log import read_log as read_log
from .looking.connections import Connection as Connection
from .looking.connections import connect as connect
from .looking.neighborhoods import neighborhood as neighborhood
from .looking.page import write_page as write_page
from .synthetic.generator import synthesize as synthesize
from .synthetic.generator import write_synthetic as write_synthetic
from .tables import ItemTable as ItemTable
from .tables import UserTable as UserTable
from .tables import read_items as read_items
from .tables import read_users as read_users
from .vocabulary import Vocabulary as Vocabulary

__all__ = [
    "BuildConfig",
    "Connection",
    "GraphDescription",
    "InteractionLog",
    "InterestGraph",
    "ItemTable",
    "UserTable",
    "Vocabulary",
    "build_graph",
    "connect",
    "describe",
    "load_graph",
    "neighborhood",
    "read_items",
    "read_log",
    "read_users",
    "synthesize",
    "write_page",
    "write_synthetic",
]
