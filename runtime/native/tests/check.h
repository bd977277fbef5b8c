// The few assertions the C++ tests need; a failure names its line and ends the program.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>

inline void check_that(bool holds, const char* what, const char* file, int line) {
    if (holds) return;
    std::fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    std::exit(1);
}

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, tolerance) check_that(std::fabs((a) - (b)) <= (tolerance), #a " near " #b, __FILE__, __LINE__)
