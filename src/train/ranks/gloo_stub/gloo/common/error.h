// libtorch's headers name it and use nothing of it.
#pragma once
