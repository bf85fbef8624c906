"""pyds in Python: sys.modules["pyds"] after activate(), with pyds 1.2.0's public names only.

Differences on purpose: cast() refuses another type and get_string() a dead address, where the
device reads garbage.
"""

from enum import EnumMeta as _EnumType

from plugins.standin.absent import explain as _explain
from plugins.standin.analytics_meta import *  # noqa: F403  pyds is one flat module
from plugins.standin.base_meta import *  # noqa: F403  pyds is one flat module
from plugins.standin.bindings.arrays import *  # noqa: F403  pyds is one flat module
from plugins.standin.bindings.elements import *  # noqa: F403  pyds is one flat module
from plugins.standin.bindings.lists import *  # noqa: F403  pyds is one flat module
from plugins.standin.bindings.memory import *  # noqa: F403  pyds is one flat module
from plugins.standin.bindings.user_metas import *  # noqa: F403  pyds is one flat module
from plugins.standin.infer_meta import *  # noqa: F403  pyds is one flat module
from plugins.standin.messages import *  # noqa: F403  pyds is one flat module
from plugins.standin.metadata import *  # noqa: F403  pyds is one flat module
from plugins.standin.object_encoder import *  # noqa: F403  pyds is one flat module
from plugins.standin.osd_params import *  # noqa: F403  pyds is one flat module
from plugins.standin.structs import GList  # noqa: F401  a name of pyds
from plugins.standin.surface_params import *  # noqa: F403  pyds is one flat module
from plugins.standin.tracker_meta import *  # noqa: F403  pyds is one flat module

__version__ = "1.2.0"

# pybind11 exports the members of enumerations into the module.
for _value in list(globals().values()):
    if isinstance(_value, _EnumType):
        globals().update(_value.__members__)


def __getattr__(name: str) -> object:
    raise AttributeError(_explain(name))
