// What lies behind the last trait of a row of z or beta.
#pragma once
#include "host_device.h"

GPUTWAS_HD float padding_of_traits() { return nanf(""); }
