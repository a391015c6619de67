// Bytes nobody can guess, from the operating system's generator. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace shoal::base {

void fill_random(std::span<std::uint8_t> bytes);
[[nodiscard]] std::string random_hex(std::size_t bytes);  // twice as many digits, lower case

}  // namespace shoal::base
