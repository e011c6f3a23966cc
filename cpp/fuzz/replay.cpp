// main() of a fuzz target where there is no libFuzzer: runs the files it is given, or so many random inputs.
//   fuzz_<what> FILE...
//   fuzz_<what> --random COUNT
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// Runs of random bytes, small bytes and zeros: numbers of every size, and ties.
std::vector<std::uint8_t> random_input(std::mt19937_64& generator) {
  std::vector<std::uint8_t> bytes(generator() % 4096);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::uint64_t style = generator() % 3;
    for (std::uint64_t left = generator() % 64 + 1; left > 0 && at < bytes.size(); --left, ++at) {
      bytes[at] = static_cast<std::uint8_t>(style == 0 ? generator() : style == 1 ? generator() % 4 : 0);
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--random") {
    std::mt19937_64 generator(1);
    for (long left = std::stol(arguments[1]); left > 0; --left) {
      const std::vector<std::uint8_t> bytes = random_input(generator);
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    return 0;
  }
  for (const std::string& path : arguments) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "cannot read %s\n", path.c_str());
      return 1;
    }
    const std::vector<std::uint8_t> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  return 0;
}
