// Capsules of a robot, and the exact distance between segments.
#ifndef MOTION_PREDICTOR__CAPSULE_HPP_
#define MOTION_PREDICTOR__CAPSULE_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

#include "motion_predictor/rigid.hpp"

namespace motion_predictor
{

/// A line segment with a radius, metres. If both ends are the same point, the capsule is a ball.
struct Capsule
{
  Vec3 start, end;
  double radius = 0;
};

/// The capsules of a robot: in one pose if the robot stands still, or in one pose per time if it moves.
class Robot
{
public:
  explicit Robot(std::vector<Capsule> still)
  : at_{std::move(still)} {}
  explicit Robot(std::vector<std::vector<Capsule>> at)
  : at_(std::move(at)) {}

  std::size_t size() const {return at_.empty() ? 0 : at_[0].size();}
  const Capsule & operator()(std::size_t t, std::size_t r) const {return at_[at_.size() == 1 ? 0 : t][r];}
  /// The same robot, transformed to another frame.
  Robot moved(const Rigid & transform) const
  {
    Robot found = *this;
    for (auto & capsules : found.at_) {
      for (Capsule & capsule : capsules) {
        capsule.start = transform(capsule.start), capsule.end = transform(capsule.end);
      }
    }
    return found;
  }
  /// Throws std::invalid_argument if the number of poses is neither 1 nor the number of times, or if the poses have
  /// different numbers of capsules.
  void require(std::size_t times) const
  {
    bool fits = at_.size() == 1 || at_.size() == times;
    for (const auto & capsules : at_) {fits = fits && capsules.size() == size();}
    if (!fits) {throw std::invalid_argument("the robot must be given once, or at the times of the people");}
  }

private:
  std::vector<std::vector<Capsule>> at_;
};

/// The squared distance of a point from a segment.
inline double point_to_segment(const Vec3 & p, const Vec3 & a, const Vec3 & b)
{
  const Vec3 along = b - a, away = p - a;
  const double share = std::clamp(away.dot(along) / std::max(along.dot(along), 1e-300), 0.0, 1.0);
  const Vec3 left = away - along * share;
  return left.dot(left);
}

/// The distance between the segments a-b and c-d. The result is the least of five candidate distances. Four candidates
/// are the distances from each end of one segment to the other segment. The fifth candidate is the distance between the
/// two points where the lines are nearest, clipped to the segments. Each candidate is the distance between two points
/// of the segments. Thus the result is never too small, even if rounding affects nearly parallel segments.
inline double segment_to_segment(const Vec3 & a, const Vec3 & b, const Vec3 & c, const Vec3 & d)
{
  const Vec3 u = b - a, v = d - c, w = a - c;
  const double uu = u.dot(u), uv = u.dot(v), vv = v.dot(v), uw = u.dot(w), vw = v.dot(w);
  const double area = std::max(uu * vv - uv * uv, 1e-300);
  const double s = std::clamp((uv * vw - vv * uw) / area, 0.0, 1.0);
  const double t = std::clamp((uu * vw - uv * uw) / area, 0.0, 1.0);
  const Vec3 between = w + u * s - v * t;
  double nearest = between.dot(between);
  nearest = std::min(nearest, point_to_segment(a, c, d));
  nearest = std::min(nearest, point_to_segment(b, c, d));
  nearest = std::min(nearest, point_to_segment(c, a, b));
  nearest = std::min(nearest, point_to_segment(d, a, b));
  return std::sqrt(nearest);
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__CAPSULE_HPP_
