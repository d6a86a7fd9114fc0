// What nearly every source includes, parsed once: ATen alone takes 14 s a file without this.
#pragma once
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <napi.h>
