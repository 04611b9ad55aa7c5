// Reads a message as text from standard input. Writes the numbers that the library computes from the message, one per
// line.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "motion_predictor/planning.hpp"

namespace mp = motion_predictor;

// Stands in for tf2_ros::Buffer. The stand-in holds one transform, with the stamp `sec`.
struct Buffer
{
  struct Stamp {std::int32_t sec; std::uint32_t nanosec;};
  struct Header {Stamp stamp;};
  struct Vector {double x, y, z;};
  struct Quaternion {double x, y, z, w;};
  struct Transform {Vector translation; Quaternion rotation;};
  struct Stamped {Header header; Transform transform;};

  std::int32_t sec;

  Stamped lookupTransform(
    const std::string & target, const std::string &,
    std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>) const
  {
    if (target != "base") {throw std::runtime_error("there is no such frame");}
    return {{{sec, 0}}, {{1, 2, 3}, {0, 0, 0, 1}}};
  }
};

static std::vector<float> numbers(std::size_t count)
{
  std::vector<float> found(count);
  for (float & number : found) {std::cin >> number;}
  return found;
}

int main()
{
  auto message = std::make_shared<mp::Message>();
  std::size_t people = 0, joints = 0;
  int status = 0;
  double age_s = 0;
  mp::Limits limits;
  std::cin >> limits.reachable_ok >> message->max_speed >> limits.unpredicted_m_per_s;
  std::cin >> age_s >> status >> message->layout >> people;
  message->status = static_cast<std::uint8_t>(status);
  std::cin >> message->num_samples >> message->num_frames >> message->num_joints;
  joints = message->num_joints;
  message->times = numbers(message->num_frames);
  message->joint_names.resize(joints);
  for (auto & name : message->joint_names) {std::cin >> name;}
  message->parents.resize(joints);
  for (std::size_t p = 0; p < people; ++p) {
    mp::msg::PredictedMotion person;
    std::size_t predicted = 0;
    std::cin >> person.id >> status >> predicted >> person.unfamiliar;
    person.status = static_cast<std::uint8_t>(status);
    for (float & axis : person.place) {std::cin >> axis;}
    std::cin >> person.reach >> person.last_seen.sec >> person.last_seen.nanosec;
    if (!predicted) {
      std::size_t seen = 0;
      std::cin >> seen;
      person.last_pose = numbers(seen);
    }
    if (predicted) {
      const std::size_t frames = static_cast<std::size_t>(message->num_frames) * joints;
      person.samples = numbers(message->num_samples * frames * 3);
      person.mean = numbers(frames * 3);
      person.radius = numbers(frames);
    }
    message->motions.push_back(person);
  }
  std::printf("tf");
  for (std::int32_t sec : {0, 999, 1000, 1001, 1005}) {
    const auto found = mp::newest_transform(Buffer{sec}, "base", "map", 1'000'400'000'000);
    std::printf(" %d", found ? static_cast<int>((*found)(mp::Vec3{}).z) : 0);
  }
  std::printf(" %d\n", mp::newest_transform(Buffer{0}, "camera", "map", 0).has_value());
  mp::Predictions predictions(limits);
  const std::int64_t now = static_cast<std::int64_t>(1e9 * age_s) + 1'000'000'000'000'000'000;
  std::printf("before %s\n", to_string(predictions.latest(now).reason()));
  message->header.stamp.sec = 1'000'000'000;
  predictions.put(message);
  const auto latest = predictions.latest(now);
  std::printf("reason %s\nnobody %d\n", to_string(latest.reason()), latest.is_nobody());
  const auto later = mp::Predictions::Steady::now() + std::chrono::milliseconds(250);
  std::printf("later %s\n", to_string(predictions.latest(now, later).reason()));

  double start_s = 0, end_s = 0;
  std::size_t capsules = 0, times = 0;
  std::cin >> start_s >> end_s >> times >> capsules;
  std::vector<std::vector<mp::Capsule>> at(times, std::vector<mp::Capsule>(capsules));
  for (auto & arm : at) {
    for (auto & c : arm) {
      std::cin >> c.start.x >> c.start.y >> c.start.z >> c.end.x >> c.end.y >> c.end.z >> c.radius;
    }
  }
  double pose[7];
  for (double & number : pose) {std::cin >> number;}
  if (!std::cin) {return 2;}
  if (!latest) {return 0;}
  const mp::Robot robot(at);
  const mp::Rigid to_robot = mp::Rigid::of_pose(pose[0], pose[1], pose[2], pose[3], pose[4], pose[5], pose[6]);
  for (bool by_samples : {true, false}) {
    mp::Look look;
    look.start_s = start_s, look.end_s = end_s, look.by_samples = by_samples, look.to_robot = &to_robot;
    const auto found = mp::closest(latest, robot, look);
    std::printf(
      "closest %.9f %.6f %s %s %zu %zu\n", found.distance_m, found.time_s, found.person.c_str(),
      found.limb.empty() ? "-" : found.limb.c_str(),
      found.capsule, found.sample);
    look.each_person(latest, [&](const mp::msg::PredictedMotion &, const mp::Bodies & bodies) {
        std::printf("each");
        for (const auto & one : mp::nearest(bodies, robot, true)) {std::printf(" %.9f", one.distance_m);}
        std::printf("\n");
      });
  }
  mp::Look look;
  look.start_s = start_s, look.end_s = end_s, look.to_robot = &to_robot;
  const auto touch = mp::touch(latest, robot, look);
  std::printf("touch %.9f %.9f", touch.share, touch.at_most);
  for (double capsule : touch.of_capsule) {std::printf(" %.9f", capsule);}
  std::printf("\n");
  if (!latest.is_nobody() && mp::is_predicted(latest.message().motions[0])) {
    const auto & person = latest.message().motions[0];
    const auto mean = mp::mean_at(latest, person, end_s, &to_robot), one = mp::sample_at(latest, person, 1, end_s);
    std::printf("at %.9f %.9f %.9f\n", mean[5].z, one[5].z, mp::radius_at(latest, person, 5, end_s));
  }
#ifdef MOTION_PREDICTOR__EIGEN_HPP_
  if (message->motions.empty() || !mp::is_predicted(message->motions[0])) {return 0;}
  const auto & person = message->motions[0];
  const auto joint = mp::sample_map(*message, person, 1, 2).row(3);
  std::printf("eigen %d %.6f %.6f %.6f\n",
    joint.data() == person.samples.data() + ((1 * message->num_frames + 2) * joints + 3) * 3,
    joint.norm(), mp::mean_map(*message, person, 1).colwise().mean().norm(), mp::radius_map(*message, person).sum());
#endif
  return 0;
}
