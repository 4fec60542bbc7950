#include <iostream>

static const bool own = !std::ios::sync_with_stdio(false); // buffers of its own from here on

extern "C" void print_line(const int *number)
{
    std::cout << "line " << *number << '\n';
    (void)own;
}
