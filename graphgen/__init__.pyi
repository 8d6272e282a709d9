from .build import BuildConfig as BuildConfig
from .build import build_graph as build_graph
from .cleaning.config import CleanConfig as CleanConfig
from .cleaning.pipeline import clean_log as clean_log
from .description import GraphDescription as GraphDescription
from .description import describe as describe
from .graph import InterestGraph as InterestGraph
from .graph import load_graph as load_graph
from .importing import ImportReport as ImportReport
from .importing import import_data as import_data
from .inspection import Inspection as Inspection
from .inspection import inspect_files as inspect_files
from .log import InteractionLog as InteractionLog
from .log_files import read_log as read_log
from .looking.bridges import bridge_interests as bridge_interests
from .looking.bridges import bridge_items as bridge_items
from .looking.bridges import crossing_user as crossing_user
from .looking.connections import Connection as Connection
from .looking.connections import connect as connect
from .looking.itemmap import ItemMap as ItemMap
from .looking.itemmap import item_map as item_map
from .looking.neighborhoods import Neighborhood as Neighborhood
from .looking.neighborhoods import neighborhood as neighborhood
from .looking.neighborhoods import subgraph as subgraph
from .looking.overview import Overview as Overview
from .looking.overview import overview as overview
from .looking.page import write_page as write_page
from .synthetic.example import example_data as example_data
from .synthetic.example import example_graph as example_graph
from .synthetic.example import write_messy_log as write_messy_log
from .synthetic.generator import synthesize as synthesize
from .synthetic.generator import write_synthetic as write_synthetic
from .tables import ItemTable as ItemTable
from .tables import UserTable as UserTable
from .tables import read_items as read_items
from .tables import read_users as read_users
from .updating import update_graph as update_graph
from .vocabulary import Vocabulary as Vocabulary

__all__ = [
    "BuildConfig",
    "CleanConfig",
    "Connection",
    "GraphDescription",
    "ImportReport",
    "Inspection",
    "InteractionLog",
    "InterestGraph",
    "ItemMap",
    "ItemTable",
    "Neighborhood",
    "Overview",
    "UserTable",
    "Vocabulary",
    "bridge_interests",
    "bridge_items",
    "build_graph",
    "clean_log",
    "connect",
    "crossing_user",
    "describe",
    "example_data",
    "example_graph",
    "import_data",
    "inspect_files",
    "item_map",
    "load_graph",
    "neighborhood",
    "overview",
    "read_items",
    "read_log",
    "read_users",
    "subgraph",
    "synthesize",
    "update_graph",
    "write_messy_log",
    "write_page",
    "write_synthetic",
]
