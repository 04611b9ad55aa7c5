// Chooses the speed of a robot arm that stands at the origin. The nearer people will come to the arm within a second,
// the slower the arm moves. While there are no usable predictions, the arm stands still.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include <rclcpp/rclcpp.hpp>

#include "motion_predictor/planning.hpp"

using motion_predictor::Capsule;

constexpr double SLOW_M = 1.0, STOP_M = 0.3;

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  auto node = std::make_shared<rclcpp::Node>("planner");
  motion_predictor::Predictions predictions(*node);
  const motion_predictor::Robot robot(std::vector<Capsule>{
    {{0, 0, 0}, {0, 0, 0.6}, 0.10},
    {{0, 0, 0.6}, {0.4, 0, 0.9}, 0.08},
    {{0.4, 0, 0.9}, {0.8, 0, 0.6}, 0.06}});

  auto timer = node->create_wall_timer(
    std::chrono::milliseconds(50), [&] {
      const auto latest = predictions.latest(node->now().nanoseconds());
      if (!latest) {
        std::printf("speed 0.00: blind, %s\n", to_string(latest.reason()));
      } else if (latest.is_nobody()) {
        std::printf("speed 1.00: nobody is there\n");
      } else {
        motion_predictor::Look look;
        look.end_s = std::min(1.0, latest.horizon_s());
        const auto closest = motion_predictor::closest(latest, robot, look);
        const double speed = std::clamp((closest.distance_m - STOP_M) / (SLOW_M - STOP_M), 0.0, 1.0);
        std::printf(
          "speed %.2f: %s of %s is %.2f m from capsule %zu in %.2f s, touched with probability %.2f\n", speed,
          closest.limb.c_str(), closest.person.c_str(), closest.distance_m, closest.capsule, closest.time_s,
          motion_predictor::touch(latest, robot, look).share);
      }
      std::fflush(stdout);
    });
  rclcpp::spin(node);
  rclcpp::shutdown();
  return 0;
}
