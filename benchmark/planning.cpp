// Measures how long the planning functions take in C++. The program reads the scene and the arms that `benchmark`
// writes, and prints times in milliseconds.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

#include "motion_predictor/planning.hpp"

namespace mp = motion_predictor;

template<class Type>
std::vector<Type> take(std::ifstream & file, std::size_t count)
{
  std::vector<Type> found(count);
  file.read(reinterpret_cast<char *>(found.data()), static_cast<std::streamsize>(count * sizeof(Type)));
  return found;
}

int main(int argc, char ** argv)
{
  if (argc != 3) {
    std::fprintf(stderr, "usage: planning_benchmark SCENE CALLS\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const auto sizes = take<std::int64_t>(file, 5);  // samples, frames, joints, capsules, arms
  const std::size_t S = sizes[0], F = sizes[1], J = sizes[2], R = sizes[3], arms = sizes[4];
  auto message = std::make_shared<mp::Message>();
  message->num_samples = S, message->num_frames = F, message->num_joints = J;
  message->times = take<float>(file, F);
  mp::msg::PredictedMotion person;
  person.samples = take<float>(file, S * F * J * 3);
  // A person without a mean would count as not predicted.
  person.mean.resize(F * J * 3);
  message->motions.push_back(person);
  const auto count = take<std::int64_t>(file, 1)[0];
  mp::Limbs limbs;
  for (std::int64_t c = 0; c < count; ++c) {
    const auto limb = take<double>(file, 3);
    limbs.push_back({"", static_cast<std::size_t>(limb[0]), static_cast<std::size_t>(limb[1]), limb[2]});
  }
  const double age_s = message->times.front() / 2;
  const mp::Latest latest(message, age_s);
  for (std::size_t arm = 0; arm < arms; ++arm) {
    std::vector<mp::Capsule> capsules;
    for (std::size_t r = 0; r < R; ++r) {
      const auto n = take<double>(file, 7);
      capsules.push_back({{n[0], n[1], n[2]}, {n[3], n[4], n[5]}, n[6]});
    }
    if (!file) {return 2;}
    const mp::Robot robot(capsules);
    mp::Look look;
    look.start_s = message->times.front() - age_s, look.end_s = message->times.back() - age_s, look.limbs = &limbs;
    std::vector<double> closest_ms, touch_ms;
    double distance_m = 0, share = 0;
    const auto now = [] {return std::chrono::steady_clock::now();};
    const auto ms = [](auto span) {return std::chrono::duration<double, std::milli>(span).count();};
    for (int call = 0; call < std::atoi(argv[2]); ++call) {
      const auto start = now();
      distance_m = mp::closest(latest, robot, look).distance_m;
      const auto between = now();
      share = mp::touch(latest, robot, look).share;
      closest_ms.push_back(ms(between - start)), touch_ms.push_back(ms(now() - between));
    }
    std::sort(closest_ms.begin(), closest_ms.end()), std::sort(touch_ms.begin(), touch_ms.end());
    const std::size_t last = closest_ms.size() - 1;
    std::printf(
      "%.9f %.6f %.4f %.4f %.4f %.4f %.4f %.4f\n", distance_m, share, closest_ms[0], closest_ms[last / 2],
      closest_ms[last * 99 / 100], touch_ms[0], touch_ms[last / 2], touch_ms[last * 99 / 100]);
  }
  return 0;
}
